// The GnuTLS headers as this folder uses them, and owners for the library's objects. Private to this folder.
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <memory>
#include <type_traits>

#include "harness/base/owned.h"

namespace rig::gnutls {

// Owned is a library object with the function that frees it; `Handle` is the library's pointer type.
template <typename Handle, auto function>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Free<function>>;

// Session, and all others up to Certificate, are the library objects of these names, owned.
using Session = Owned<gnutls_session_t, gnutls_deinit>;
using Priorities = Owned<gnutls_priority_t, gnutls_priority_deinit>;
using CertificateCredentials = Owned<gnutls_certificate_credentials_t, gnutls_certificate_free_credentials>;
using PskClientCredentials = Owned<gnutls_psk_client_credentials_t, gnutls_psk_free_client_credentials>;
using PskServerCredentials = Owned<gnutls_psk_server_credentials_t, gnutls_psk_free_server_credentials>;
using Certificate = Owned<gnutls_x509_crt_t, gnutls_x509_crt_deinit>;

// Datum owns what the library allocated for a gnutls_datum_t.
class Datum {
 public:
  Datum() noexcept = default;
  ~Datum() { gnutls_free(value_.data); }
  Datum(const Datum&) = delete;
  Datum& operator=(const Datum&) = delete;
  gnutls_datum_t* get() noexcept { return &value_; }
  const gnutls_datum_t* get() const noexcept { return &value_; }
  const gnutls_datum_t* operator->() const noexcept { return &value_; }

 private:
  gnutls_datum_t value_{};
};

}  // namespace rig::gnutls
