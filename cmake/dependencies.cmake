# Everything from outside, found once. Packages come from scripts/install_dependencies.sh.
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)

if(MEGIN_TORCH)
  find_package(Torch REQUIRED)
  # at::parallel_for is a template: a file compiled without OpenMP runs it on one thread, in silence.
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  # As a system include, so that our warnings stay about our code.
  add_library(megin_torch INTERFACE)
  target_include_directories(megin_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_link_libraries(megin_torch INTERFACE ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)

  # Owns the precompiled headers that every source of the libtorch column shares. Flags must equal theirs.
  add_library(megin_torch_headers OBJECT ${CMAKE_SOURCE_DIR}/cmake/torch_headers.cpp)
  target_link_libraries(megin_torch_headers PRIVATE megin_torch)
  target_compile_features(megin_torch_headers PRIVATE cxx_std_20)
  target_compile_options(megin_torch_headers PRIVATE -Wall -Wextra -Wpedantic -Wno-pedantic)
  target_precompile_headers(megin_torch_headers PRIVATE
    <ATen/ATen.h> <ATen/Parallel.h> <torch/csrc/autograd/custom_function.h>)
endif()
if(MEGIN_TESTS)
  find_package(GTest REQUIRED)
endif()
