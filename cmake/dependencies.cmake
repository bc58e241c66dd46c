# Everything from outside, found once. Packages come from scripts/install_dependencies.sh.
include(${CMAKE_CURRENT_LIST_DIR}/libraries.cmake)

if(MEGIN_TORCH)
  find_package(Torch REQUIRED)
  # As a system include, so that our warnings stay about our code.
  add_library(megin_torch INTERFACE)
  target_include_directories(megin_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
  target_link_libraries(megin_torch INTERFACE ${TORCH_LIBRARIES})
endif()
if(MEGIN_TESTS)
  find_package(GTest REQUIRED)
endif()
