# Where tests find the golden files, and data outside the repository.
file(GLOB checkpoint_tests ${folder}/*_test.cpp)
set_source_files_properties(${checkpoint_tests} PROPERTIES COMPILE_DEFINITIONS
                            HELIX_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
