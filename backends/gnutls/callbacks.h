// What the library calls back: transport, verification, pre-shared keys, key log. Private to this folder.
//
// Each callback finds its engine through the session. None lets an exception out, and none trusts errno or leaves it to
// the library: every way back with -1 sets the session's own error number (gnutls@ed0ecb857).
#pragma once

#include "backends/gnutls/library.h"

namespace rig::gnutls {

class GnutlsEngine;

// set_callbacks joins a new session with its engine. Owns: nothing; the engine must outlive the session.
void set_callbacks(gnutls_session_t session, GnutlsEngine& engine);

// set_message_hook lets an established engine see the handshake messages that it has to see.
void set_message_hook(GnutlsEngine& engine);

// verify_peer is a gnutls_certificate_verify_function: chain, purpose and name. It runs within the handshake, so that
// the peer hears of a refusal.
int verify_peer(gnutls_session_t session) noexcept;

// psk_of_identity is a gnutls_psk_server_credentials_function2.
int psk_of_identity(gnutls_session_t session, const gnutls_datum_t* identity, gnutls_datum_t* key) noexcept;

}  // namespace rig::gnutls
