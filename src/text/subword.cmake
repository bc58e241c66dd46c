# How SentencePiece is linked (subword_backend.h says why): as a plugin where libtorch is in the program,
# plainly elsewhere. Sets MEGIN_SUBWORD_SOURCES and MEGIN_SUBWORD_LINK for megin_text.
set(MEGIN_SUBWORD_SOURCES sentencepiece_symbols.cpp subword.cpp subword_training.cpp)
if(NOT MEGIN_TORCH)
  list(APPEND MEGIN_SUBWORD_SOURCES subword_linked.cpp subword_sentencepiece.cpp)
  set(MEGIN_SUBWORD_LINK PkgConfig::SENTENCEPIECE)
  return()
endif()

list(APPEND MEGIN_SUBWORD_SOURCES subword_plugin.cpp)
set(MEGIN_SUBWORD_LINK ${CMAKE_DL_LIBS})
add_library(megin_subword MODULE subword_sentencepiece.cpp)
set_target_properties(megin_subword PROPERTIES
  PREFIX "" SUFFIX ".so"
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/megin
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_include_directories(megin_subword PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(megin_subword PRIVATE -Wall -Wextra -Wpedantic)
target_link_libraries(megin_subword PRIVATE PkgConfig::SENTENCEPIECE)
# lib, whatever the name of the library folder is: the program looks for ../lib/megin.
install(TARGETS megin_subword LIBRARY DESTINATION lib/megin)

# After the library: programs wait for the plugin, and those that link the installed library find it.
function(megin_subword_plugin_of target)
  add_dependencies(${target} megin_subword)
  target_link_options(${target} INTERFACE "$<INSTALL_INTERFACE:LINKER:-rpath,$<INSTALL_PREFIX>/lib/megin>")
endfunction()

# The proof that the plugin does what it is for: a program with libtorch.
if(MEGIN_TESTS)
  add_executable(megin_subword_torch_test subword_torch_test.cpp)
  target_link_libraries(megin_subword_torch_test PRIVATE megin_text megin_torch GTest::gtest_main)
  add_test(NAME subword_torch COMMAND megin_subword_torch_test)
endif()
