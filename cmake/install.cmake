# Installs the program, the public headers and a package for find_package(helix).
include(CMakePackageConfigHelpers)
set(HELIX_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/helix)
get_property(floors GLOBAL PROPERTY HELIX_FLOORS)

install(TARGETS helix ${floors} EXPORT helix-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/helix DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(EXPORT helix-targets NAMESPACE helix:: DESTINATION ${HELIX_PACKAGE_DIR})

configure_package_config_file(cmake/helix-config.cmake.in ${PROJECT_BINARY_DIR}/helix-config.cmake
                              INSTALL_DESTINATION ${HELIX_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/helix-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/helix-config.cmake ${PROJECT_BINARY_DIR}/helix-config-version.cmake
        DESTINATION ${HELIX_PACKAGE_DIR})
