target_compile_definitions(helix_base PRIVATE HELIX_VERSION="${PROJECT_VERSION}")
