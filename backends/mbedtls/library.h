// The mbedTLS headers as this folder uses them, and owners for the library's init/free pairs. Private to this folder.
#pragma once

#include <mbedtls/cipher.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/dhm.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "backends/mbedtls/versions.h"
#include "harness/base/owned.h"

namespace rig::mbedtls {

// Entropy, and all others up to SessionCache, are the library objects of these names, owned.
using Entropy = InPlace<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free>;
using Drbg = InPlace<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free>;
using Certificates = InPlace<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using PrivateKey = InPlace<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using Config = InPlace<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using Ssl = InPlace<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;
using Session = InPlace<mbedtls_ssl_session, mbedtls_ssl_session_init, mbedtls_ssl_session_free>;
using Tickets = InPlace<mbedtls_ssl_ticket_context, mbedtls_ssl_ticket_init, mbedtls_ssl_ticket_free>;
using SessionCache = InPlace<mbedtls_ssl_cache_context, mbedtls_ssl_cache_init, mbedtls_ssl_cache_free>;

// master_bytes is the length of a TLS 1.2 master secret.
inline constexpr std::size_t master_bytes = 48;

}  // namespace rig::mbedtls
