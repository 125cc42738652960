# The interpreter of tests and of the Python module: $HELIX_VENV, .venv of the checkout, or python3. A build of the
# Python package brings its own.
if(SKBUILD)
  set(HELIX_PYTHON ${Python_EXECUTABLE})
else()
  foreach(candidate IN ITEMS $ENV{HELIX_VENV} ${PROJECT_SOURCE_DIR}/.venv)
    if(NOT HELIX_PYTHON AND EXISTS ${candidate}/bin/python)
      set(HELIX_PYTHON ${candidate}/bin/python)
    endif()
  endforeach()
  find_program(HELIX_PYTHON python3)
endif()

# The module is built for the package, and by developers whose interpreter has nanobind and its headers.
set(HELIX_BUILD_PYTHON OFF)
if(SKBUILD OR (HELIX_DEVELOPER_MODE AND HELIX_PYTHON AND NOT HELIX_SANITIZE))
  set(Python_EXECUTABLE ${HELIX_PYTHON})
  find_package(Python 3.10 QUIET COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
  execute_process(COMMAND ${HELIX_PYTHON} -m nanobind --cmake_dir OUTPUT_STRIP_TRAILING_WHITESPACE
                  OUTPUT_VARIABLE HELIX_NANOBIND_DIR RESULT_VARIABLE no_nanobind ERROR_QUIET)
  if(Python_Development.Module_FOUND AND no_nanobind EQUAL 0)
    find_package(nanobind CONFIG REQUIRED PATHS ${HELIX_NANOBIND_DIR} NO_DEFAULT_PATH)
    set(HELIX_BUILD_PYTHON ON)
  elseif(SKBUILD)
    message(FATAL_ERROR "the Python package needs nanobind and the headers of ${HELIX_PYTHON} (Debian: python3-dev)")
  else()
    message(STATUS "Python module: left out, ${HELIX_PYTHON} lacks nanobind or its headers (Debian: python3-dev)")
  endif()
endif()
