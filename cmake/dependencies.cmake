# Libraries come from the system (Debian names in docs/decisions/002-dependencies.md); where a system has none,
# a pinned release is fetched and checked by hash.
include(FetchContent)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

function(helix_fetch name url sha256)
  message(STATUS "${name}: not found on this system, fetching a pinned release")
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} DOWNLOAD_EXTRACT_TIMESTAMP ON)
  FetchContent_MakeAvailable(${name})
endfunction()

find_package(nlohmann_json 3.10 QUIET)
if(NOT nlohmann_json_FOUND)
  helix_fetch(nlohmann_json https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
              d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
endif()

find_package(CLI11 2.1 QUIET)
if(NOT CLI11_FOUND)
  helix_fetch(CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
              f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
endif()

find_path(XXHASH_INCLUDE_DIR xxhash.h)
if(NOT XXHASH_INCLUDE_DIR)  # one header of it is used; its build files lie in a sub-folder and are not run
  helix_fetch(xxhash https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.2.tar.gz
              baee0c6afd4f03165de7a4e67988d16f0f2b257b51d0e3cb91909302a26a79c4)
  FetchContent_GetProperties(xxhash SOURCE_DIR XXHASH_INCLUDE_DIR)
endif()
add_library(helix_xxhash INTERFACE)
target_include_directories(helix_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})

if(HELIX_DEVELOPER_MODE)
  find_package(GTest REQUIRED)
endif()
