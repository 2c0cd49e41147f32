# Finds mbedTLS by its header and libraries: version 2.28 ships neither a .pc file nor a CMake package. Defines the
# target Mbedtls::Mbedtls, Mbedtls_VERSION and MBEDTLS_INCLUDE_DIR.
find_path(MBEDTLS_INCLUDE_DIR mbedtls/ssl.h)
find_library(MBEDTLS_LIBRARY mbedtls)
find_library(MBEDX509_LIBRARY mbedx509)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto)
mark_as_advanced(MBEDTLS_INCLUDE_DIR MBEDTLS_LIBRARY MBEDX509_LIBRARY MBEDCRYPTO_LIBRARY)

set(Mbedtls_VERSION "")
# Version 3 has moved its number to another header.
foreach(header version.h build_info.h)
  if(EXISTS "${MBEDTLS_INCLUDE_DIR}/mbedtls/${header}")
    file(STRINGS "${MBEDTLS_INCLUDE_DIR}/mbedtls/${header}" line REGEX "define MBEDTLS_VERSION_STRING ")
    if(line MATCHES "[0-9]+\\.[0-9]+\\.[0-9]+")
      set(Mbedtls_VERSION "${CMAKE_MATCH_0}")
    endif()
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Mbedtls REQUIRED_VARS MBEDTLS_LIBRARY MBEDX509_LIBRARY MBEDCRYPTO_LIBRARY
  MBEDTLS_INCLUDE_DIR VERSION_VAR Mbedtls_VERSION
  REASON_FAILURE_MESSAGE "install libmbedtls-dev, or name its prefix in RIG_TLS_PREFIX")
if(Mbedtls_FOUND AND NOT TARGET Mbedtls::Mbedtls)
  add_library(Mbedtls::Mbedtls INTERFACE IMPORTED GLOBAL)
  set_target_properties(Mbedtls::Mbedtls PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${MBEDTLS_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${MBEDTLS_LIBRARY};${MBEDX509_LIBRARY};${MBEDCRYPTO_LIBRARY}")
endif()
