# Only the files of one instruction set are compiled for it; no flag is global. They inline everything they
# call, so their sums may fuse multiplications and additions.
set(kernels_cpu ${folder}/cpu)
set(kernels_avx2 -mavx2 -mfma -mf16c)
set(kernels_avx512 ${kernels_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(kernels_fused -O3 -ffp-contract=fast -Wno-psabi)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 warns about the undefined operands inside its own AVX-512 header.
  list(APPEND kernels_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
set(kernels_vbmi ${kernels_avx512} -mavx512vbmi -mavx512vnni -mavx512bf16)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(${kernels_cpu}/avx2_kernels.cpp PROPERTIES COMPILE_OPTIONS
                              "${kernels_avx2};${kernels_fused}")
  set_source_files_properties(${kernels_cpu}/avx512_kernels.cpp PROPERTIES COMPILE_OPTIONS
                              "${kernels_avx512};${kernels_fused}")
  set_source_files_properties(${kernels_cpu}/avx512_vbmi_kernels.cpp PROPERTIES COMPILE_OPTIONS
                              "${kernels_vbmi};${kernels_fused}")
  set_source_files_properties(${kernels_cpu}/amx_kernels.cpp PROPERTIES COMPILE_OPTIONS
                              "${kernels_vbmi};-mamx-tile;-mamx-int8;-mamx-bf16;${kernels_fused}")
endif()
set_source_files_properties(${kernels_cpu}/neon_kernels.cpp ${kernels_cpu}/scalar_kernels.cpp PROPERTIES
                            COMPILE_OPTIONS "${kernels_fused}")

if(HELIX_DEVELOPER_MODE AND NOT HELIX_SANITIZE)
  add_test(NAME kernels.isa_symbols
           COMMAND ${CMAKE_COMMAND} -D NM=${CMAKE_NM} -D "OBJECTS=$<TARGET_OBJECTS:helix_kernels>"
                   -P ${folder}/check_isa_symbols.cmake)
endif()
