// The library's callbacks: they forward to the engine of the connection. Private to this folder.
//
// None of them calls into the library's cryptography, so none needs ERR_set_mark: what a callback leaves in the error
// queue would be read as the outcome of the call that it interrupts. No exception passes through the library.
#pragma once

#include "backends/openssl/context.h"
#include "backends/openssl/library.h"

namespace rig::openssl {

// set_callbacks installs what `context` asks for: ALPN and the server's name on a server, pre-shared keys, key log, and
// the refusal or acceptance of certificates where none is verified.
void set_callbacks(const OpensslContext& context);

// on_certificate is the verify callback: it adds the one rule of host names that the library does not have.
int on_certificate(int accepted, X509_STORE_CTX* verification) noexcept;

}  // namespace rig::openssl
