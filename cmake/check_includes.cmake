# Holds every #include of src/ to cmake/floors.cmake:
#
#   cmake -P cmake/check_includes.cmake                    this project
#   cmake -D SOURCE=<folder> -P cmake/check_includes.cmake  another tree with src/ and cmake/floors.cmake
#
# - "folder/file.h" only from the folder itself and from what floors.cmake lists for it, directly or through others;
# - libtorch only in the folders that floors.cmake allows it to, and in headers only its core (a tensor's
#   declaration): torch/torch.h in a header costs every file that sees it 25 seconds. A header for tests, which
#   includes gtest, may have all of ATen;
# - a folder stands after everything it uses.
cmake_minimum_required(VERSION 3.25)
if(NOT SOURCE)
  set(SOURCE ${CMAKE_CURRENT_LIST_DIR}/..)
endif()
get_filename_component(SOURCE ${SOURCE} ABSOLUTE)
include(${SOURCE}/cmake/floors.cmake)
set(violations "")

# Everything that `folder` may include, itself first.
function(reachable folder result)
  set(found ${folder})
  set(open ${folder})
  while(open)
    list(POP_FRONT open next)
    foreach(used IN LISTS MEGIN_USES_${next} MEGIN_USES_TORCH_${next})
      if(NOT used IN_LIST found)
        list(APPEND found ${used})
        list(APPEND open ${used})
      endif()
    endforeach()
  endwhile()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# The order of the table makes cycles impossible.
set(below "")
foreach(folder IN LISTS MEGIN_ALL_FOLDERS)
  foreach(used IN LISTS MEGIN_USES_${folder} MEGIN_USES_TORCH_${folder})
    if(NOT used IN_LIST below)
      list(APPEND violations "cmake/floors.cmake: ${folder} uses ${used}, which does not stand before it")
    endif()
  endforeach()
  list(APPEND below ${folder})
endforeach()

file(GLOB present LIST_DIRECTORIES true RELATIVE ${SOURCE}/src ${SOURCE}/src/*)
foreach(folder IN LISTS present)
  if(IS_DIRECTORY ${SOURCE}/src/${folder} AND NOT folder IN_LIST MEGIN_ALL_FOLDERS)
    list(APPEND violations "src/${folder}: no such folder in cmake/floors.cmake; add it there")
  endif()
endforeach()

set(includes_checked 0)
foreach(folder IN LISTS MEGIN_ALL_FOLDERS)
  reachable(${folder} allowed)
  file(GLOB_RECURSE files RELATIVE ${SOURCE} ${SOURCE}/src/${folder}/*.h ${SOURCE}/src/${folder}/*.cpp)
  foreach(file IN LISTS files)
    file(STRINGS ${SOURCE}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    set(header_may "^(ATen/core|c10)/")
    if(lines MATCHES "<gtest/")
      set(header_may "^(ATen|c10)/")
    endif()
    foreach(line IN LISTS lines)
      math(EXPR includes_checked "${includes_checked} + 1")
      string(REGEX REPLACE ".*include[ \t]*[<\"]([^>\"]*)[>\"].*" "\\1" included "${line}")
      if(line MATCHES "include[ \t]*\"")
        string(REGEX REPLACE "/.*" "" from "${included}")
        if(NOT from IN_LIST MEGIN_ALL_FOLDERS OR NOT included MATCHES "/")
          list(APPEND violations "${file} includes \"${included}\": write it from src/, \"folder/file.h\"")
        elseif(NOT from IN_LIST allowed)
          list(JOIN allowed ", " choices)
          list(APPEND violations "${file} includes \"${included}\": ${folder} may include only ${choices}")
        endif()
      elseif(included MATCHES "^(torch|ATen|c10)/")
        # A test by this name is built with libtorch only: it shows that the folder lives beside it in one program.
        if(NOT folder IN_LIST MEGIN_TORCH_FOLDERS AND NOT file MATCHES "_torch_test\\.cpp$")
          list(APPEND violations "${file} includes <${included}>: ${folder} must build without libtorch")
        elseif(file MATCHES "\\.h$" AND NOT included MATCHES "${header_may}")
          list(APPEND violations "${file} includes <${included}>: headers may include ATen/core/ and c10/ only")
        endif()
      endif()
    endforeach()
  endforeach()
endforeach()

if(violations)
  list(JOIN violations "\n  " text)
  message(FATAL_ERROR "The floors of src/ do not hold:\n  ${text}")
endif()
message(STATUS "${includes_checked} includes keep to cmake/floors.cmake")
