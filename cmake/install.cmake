# What `cmake --install` puts where, and what find_package(megin) finds there:
#
#   bin/megin                  the program (src/cli)
#   lib/megin/                 the subword plugin (src/text/subword.cmake), where libtorch is built in
#   lib*/libmegin_FOLDER.a     one library a folder: megin::FOLDER
#   include/megin/FOLDER/*.h   the headers, included as "FOLDER/name.h"; not those of tests
#   lib*/cmake/megin/          the package
#
# Two sets of targets, so that a program that only scores or translates need not have libtorch:
# find_package(megin) gives those without it, find_package(megin COMPONENTS torch) all.
include(CMakePackageConfigHelpers)
set(MEGIN_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/megin)

foreach(folder IN LISTS MEGIN_ALL_FOLDERS)
  if(NOT TARGET megin_${folder})
    continue()
  endif()
  set(targets megin-targets)
  if(folder IN_LIST MEGIN_TORCH_FOLDERS OR (MEGIN_TORCH AND MEGIN_USES_TORCH_${folder}))
    set(targets megin-torch-targets)
  endif()
  install(TARGETS megin_${folder} EXPORT ${targets} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set(headers "")
  file(GLOB candidates src/${folder}/*.h)
  foreach(header IN LISTS candidates)
    file(STRINGS ${header} test_framework LIMIT_COUNT 1 REGEX "^#include <gtest/")
    if(NOT test_framework)
      list(APPEND headers ${header})
    endif()
  endforeach()
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/megin/${folder})
endforeach()

install(EXPORT megin-targets NAMESPACE megin:: DESTINATION ${MEGIN_PACKAGE_DIR})
if(MEGIN_TORCH)
  set_target_properties(megin_torch PROPERTIES EXPORT_NAME torch)
  install(TARGETS megin_torch EXPORT megin-torch-targets)
  install(EXPORT megin-torch-targets NAMESPACE megin:: DESTINATION ${MEGIN_PACKAGE_DIR})
endif()

configure_package_config_file(cmake/megin-config.cmake.in ${CMAKE_BINARY_DIR}/megin-config.cmake
                              INSTALL_DESTINATION ${MEGIN_PACKAGE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/megin-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/megin-config.cmake ${CMAKE_BINARY_DIR}/megin-config-version.cmake
        DESTINATION ${MEGIN_PACKAGE_DIR})
install(FILES cmake/libraries.cmake DESTINATION ${MEGIN_PACKAGE_DIR} RENAME megin-libraries.cmake)
