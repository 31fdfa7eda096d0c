# nibble_library(NAME SOURCES ... LINKS ...): one folder of src/. LINKS are the folders it may include and the packages it
# uses; they are PUBLIC so that what a header includes is found, and the list is the dependency rule of docs/design.md.
# The library's tests, NAME_test, come from tests/NAME/*.cpp.
function(nibble_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(nibble_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(nibble_${name} PUBLIC ${ARG_LINKS} PRIVATE nibble_warnings)
  target_include_directories(nibble_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  set_target_properties(nibble_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  set_property(GLOBAL APPEND PROPERTY NIBBLE_LIBRARIES nibble_${name})
endfunction()

# nibble_test(NAME LINKS ...): the gtest binary NAME_test of tests/NAME/*.cpp, every test known to ctest.
function(nibble_test name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE ${ARG_LINKS} nibble_warnings GTest::gtest_main GTest::gmock)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name}_test PRIVATE NIBBLE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" NIBBLE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60)
endfunction()
