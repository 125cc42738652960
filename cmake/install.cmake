# Installs the program, the public headers and a package for find_package(helix).
include(CMakePackageConfigHelpers)
get_property(floors GLOBAL PROPERTY HELIX_FLOORS)
install(TARGETS helix ${floors} helix_xxhash EXPORT helix_targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/helix DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT helix_targets NAMESPACE helix:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/helix)
configure_package_config_file(cmake/helix-config.cmake.in ${PROJECT_BINARY_DIR}/helix-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/helix)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/helix-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/helix-config.cmake ${PROJECT_BINARY_DIR}/helix-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/helix)
