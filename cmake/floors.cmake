# One static library per floor of src/LAYERS. Sources are src/<floor>/**.cpp; *_test.cpp go to helix_<floor>_test.

set(HELIX_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  list(APPEND HELIX_WARNINGS -Wno-restrict)  # false alarms in std::string, GCC bug 105651
else()
  list(APPEND HELIX_WARNINGS -Wno-deprecated-declarations)  # clang blames us for what std::stable_sort of GCC 12 calls
endif()

# What a floor needs beside the floors below it. Header-only libraries end in our own object files, so an installed
# package does not ask for them.
set(HELIX_EXTERNAL_base Threads::Threads OpenSSL::Crypto $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>
                        $<BUILD_INTERFACE:helix_xxhash>)

function(helix_compile_options target)
  # Results must not depend on which machine fuses a multiply and an add.
  # Functions of a static library cannot be replaced at run time, so they may be inlined though the code is
  # position independent.
  target_compile_options(${target} PRIVATE -ffp-contract=off -fno-semantic-interposition)
  if(HELIX_DEVELOPER_MODE)
    target_compile_options(${target} PRIVATE ${HELIX_WARNINGS} -Werror)
  endif()
  if(HELIX_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${HELIX_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${HELIX_SANITIZE})
  endif()
  if(HELIX_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(helix_add_floor floor below)
  set(folder ${PROJECT_SOURCE_DIR}/src/${floor})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    return()
  endif()
  set(library helix_${floor})
  add_library(${library} STATIC ${sources})
  add_library(helix::${floor} ALIAS ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${floor})
  target_include_directories(${library} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${library} PUBLIC cxx_std_20)
  helix_compile_options(${library})
  foreach(dependency IN LISTS below)
    if(TARGET helix_${dependency})
      target_link_libraries(${library} PUBLIC helix_${dependency})
    endif()
  endforeach()
  target_link_libraries(${library} PUBLIC ${HELIX_EXTERNAL_${floor}})
  if(EXISTS ${folder}/floor.cmake)
    include(${folder}/floor.cmake)  # per-file options of this floor
  endif()
  set_property(GLOBAL APPEND PROPERTY HELIX_FLOORS ${library})
  if(HELIX_DEVELOPER_MODE AND tests)
    add_executable(${library}_test ${tests})
    target_link_libraries(${library}_test PRIVATE ${library} GTest::gmock GTest::gtest_main)
    helix_compile_options(${library}_test)
    add_test(NAME unit.${floor} COMMAND ${library}_test)
  endif()
endfunction()

function(helix_add_floors)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/LAYERS)
  if(HELIX_DEVELOPER_MODE)
    enable_testing()
  endif()
  file(STRINGS src/LAYERS lines REGEX "^[a-z_]+:")
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^([a-z_]+): *(.*)$" _ "${line}")
    set(floor ${CMAKE_MATCH_1})
    string(REPLACE " " ";" below "${CMAKE_MATCH_2}")
    helix_add_floor(${floor} "${below}")
  endforeach()
  add_library(helix INTERFACE)
  add_library(helix::helix ALIAS helix)
  get_property(floors GLOBAL PROPERTY HELIX_FLOORS)
  target_link_libraries(helix INTERFACE ${floors})
endfunction()
