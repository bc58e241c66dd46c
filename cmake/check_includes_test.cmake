# Shows that check_includes.cmake finds what it is for: small trees, each with one fault (or none).
#
#   cmake -D WORK=<a folder to write in> -P cmake/check_includes_test.cmake
cmake_minimum_required(VERSION 3.25)
get_filename_component(WORK ${WORK} ABSOLUTE)

set(floors [[
set(MEGIN_ALL_FOLDERS low high tensors)
set(MEGIN_TORCH_FOLDERS tensors)
set(MEGIN_USES_low "")
set(MEGIN_USES_high low)
set(MEGIN_USES_tensors high)
]])

# Writes a tree with `line` in `file` and compares what the checker says with `wanted`, a regular expression;
# an empty one: the tree is in order.
function(check name file line wanted)
  set(tree ${WORK}/${name})
  file(REMOVE_RECURSE ${tree})
  file(WRITE ${tree}/cmake/floors.cmake "${floors}")
  file(WRITE ${tree}/${file} "#include <vector>\n${line}\n")
  execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${tree} -P ${CMAKE_CURRENT_LIST_DIR}/check_includes.cmake
                  RESULT_VARIABLE code OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
  if(wanted STREQUAL "" AND NOT code EQUAL 0)
    message(SEND_ERROR "${name}: wanted no complaint, found: ${said}")
  elseif(NOT wanted STREQUAL "" AND (code EQUAL 0 OR NOT said MATCHES "${wanted}"))
    message(SEND_ERROR "${name}: wanted a failure that says '${wanted}', found (exit code ${code}): ${said}")
  endif()
endfunction()

check(in_order src/high/a.cpp "#include \"low/b.h\"" "")
check(through_another src/tensors/a.h "#include \"low/b.h\"" "")
check(upward src/low/a.cpp "#include \"high/b.h\"" "src/low/a.cpp includes \"high/b.h\": low may include only low")
check(without_folder src/high/a.cpp "#include \"b.h\"" "write it from src/")
check(indented src/low/a.h "  #  include \"high/b.h\"" "low may include only low")
check(core_tensor src/tensors/a.h "#include <ATen/core/Tensor.h>" "")
check(torch_in_source src/tensors/a.cpp "#include <torch/torch.h>" "")
check(torch_in_header src/tensors/a.h "#include <torch/torch.h>" "headers may include ATen/core/ and c10/ only")
check(aten_in_header src/tensors/a.h "#include <ATen/ATen.h>" "headers may include ATen/core/ and c10/ only")
check(aten_in_test_header src/tensors/a.h "#include <gtest/gtest.h>\n#include <ATen/ATen.h>" "")
check(torch_in_test_header src/tensors/a.h "#include <gtest/gtest.h>\n#include <torch/torch.h>" "headers may include")
check(torch_below src/high/a.cpp "#include <torch/torch.h>" "high must build without libtorch")
check(unknown_folder src/other/a.cpp "" "src/other: no such folder")
string(APPEND floors "set(MEGIN_USES_low tensors)\n")
check(cycle src/high/a.cpp "" "low uses tensors, which does not stand before it")
