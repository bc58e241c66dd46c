# Lets an executable use the precompiled libtorch headers, which are compiled as for a library.
function(megin_use_torch_headers target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
  target_precompile_headers(${target} REUSE_FROM megin_torch_headers)
endfunction()

# megin_library(<folder> SOURCES ... [TESTS ...] [LINK ...] [PRIVATE_LINK ...] [TEST_LINK ...])
#
# Makes the library megin_<folder> (megin::<folder> when installed) out of src/<folder>, links what
# floors.cmake lists for it, and, from the files that stand beside the sources, one test program
# megin_<folder>_test which CTest runs as one test.
function(megin_library folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;TESTS;LINK;PRIVATE_LINK;TEST_LINK" ${ARGN})
  set(target megin_${folder})
  add_library(${target} STATIC ${ARG_SOURCES})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${folder})
  add_library(megin::${folder} ALIAS ${target})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/megin>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic)
  foreach(used IN LISTS MEGIN_USES_${folder})
    target_link_libraries(${target} PUBLIC megin_${used})
  endforeach()
  if(MEGIN_TORCH)
    foreach(used IN LISTS MEGIN_USES_TORCH_${folder})
      target_link_libraries(${target} PUBLIC megin_${used})
    endforeach()
  endif()
  if(folder IN_LIST MEGIN_TORCH_FOLDERS)
    target_link_libraries(${target} PUBLIC megin_torch)
    # libtorch's own headers are not pedantic-clean when its macros expand in our files.
    target_compile_options(${target} PRIVATE -Wno-pedantic)
    # libtorch's headers cost ten seconds a file; read once for all of them (docs/building.md).
    target_precompile_headers(${target} REUSE_FROM megin_torch_headers)
  endif()
  target_link_libraries(${target} PUBLIC ${ARG_LINK})
  target_link_libraries(${target} PRIVATE ${ARG_PRIVATE_LINK})

  if(MEGIN_TESTS AND ARG_TESTS)
    add_executable(${target}_test ${ARG_TESTS})
    target_compile_options(${target}_test PRIVATE -Wall -Wextra)
    target_compile_definitions(${target}_test PRIVATE
      MEGIN_TEST_FILES="${CMAKE_CURRENT_SOURCE_DIR}/test_files")
    target_link_libraries(${target}_test PRIVATE ${target} ${ARG_TEST_LINK} GTest::gtest_main)
    if(folder IN_LIST MEGIN_TORCH_FOLDERS)
      megin_use_torch_headers(${target}_test)
    endif()
    add_test(NAME ${folder} COMMAND ${target}_test)
  endif()
endfunction()
