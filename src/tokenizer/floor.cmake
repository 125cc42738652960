# Debian: libutf8proc-dev, libpcre2-dev, libsentencepiece-dev. Linked by path here and by name from an
# installed package, so that the package can be moved.
function(helix_link_system_library target library header package)
  string(MAKE_C_IDENTIFIER "HELIX_${library}" variable)
  find_library(${variable}_LIBRARY ${library})
  find_path(${variable}_INCLUDE_DIR ${header})
  if(NOT ${variable}_LIBRARY OR NOT ${variable}_INCLUDE_DIR)
    message(FATAL_ERROR "${library} is missing (Debian package ${package})")
  endif()
  target_link_libraries(${target} PUBLIC $<BUILD_INTERFACE:${${variable}_LIBRARY}> $<INSTALL_INTERFACE:${library}>)
  target_include_directories(${target} SYSTEM PRIVATE ${${variable}_INCLUDE_DIR})
endfunction()

helix_link_system_library(helix_tokenizer utf8proc utf8proc.h libutf8proc-dev)
helix_link_system_library(helix_tokenizer pcre2-8 pcre2.h libpcre2-dev)
helix_link_system_library(helix_tokenizer sentencepiece sentencepiece_processor.h libsentencepiece-dev)
