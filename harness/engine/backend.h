// Backend: what a TLS library offers, and how contexts and engines of it are made.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/ambient.h"
#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/engine/engine.h"

namespace rig {

// Capabilities is what a backend can do here; what it cannot is answered with Code::unsupported and a sentence.
struct Capabilities {
  bool tls12 = false;
  bool tls13 = false;
  bool certificates = false;  // X.509 authentication
  bool psk = false;           // external pre-shared keys
  bool alpn = false;
  bool resumption = false;
  bool key_log = false;
  bool close_notify = false;  // the protocol has an end-of-stream mark: truncation can be told from a clean end
  bool update_keys = false;   // TLS 1.3 KeyUpdate can be started
  bool renegotiate_as_client = false;  // TLS 1.2 renegotiation can be started by the client
  bool renegotiate_as_server = false;  // TLS 1.2 renegotiation can be started by the server
  bool renegotiate_in_flight = false;  // and that while application data is under way in both directions
};

// Psk is an external pre-shared key.
struct Psk {
  std::string identity;
  Bytes key;
};

// Credentials are a certificate chain (leaf first) and its private key, both PEM.
struct Credentials {
  std::string certificate_chain_pem;
  std::string private_key_pem;
};

// PeerCheck says what is demanded of the peer's certificate.
enum class PeerCheck : std::uint8_t {
  verify,    // a client: the chain and the host name; a server: a client certificate must come and its chain hold
  optional,  // a server only: a client certificate may come, and if so its chain must hold
  none,      // nothing is checked; for a server: none is asked for. On a client this is insecure and must be asked for
};

// ContextConfig is what the engines of one Context share.
struct ContextConfig {
  Role role = Role::client;
  TlsVersion version_min = TlsVersion::tls12;
  TlsVersion version_max =
      TlsVersion::tls13;  // lowered to what the backend has; above its maximum only if equal to min
  // peer_check unset means: a client verifies, a server asks for no client certificate. With a psk no certificate is
  // involved and this has no effect.
  std::optional<PeerCheck> peer_check;
  std::string ca_pem;  // trust anchors; needed where certificates are verified
  // credentials: a server without a psk needs them; a client sends them whenever it is asked for a certificate,
  // whichever authorities the server names.
  std::optional<Credentials> credentials;
  std::optional<Psk> psk;  // if set, only PSK handshakes are offered or accepted
  // alpn is in order of preference (the server's decides); empty: not offered, and no offer is answered. Offers without
  // a protocol in common fail the handshake (RFC 7301, section 3.2).
  std::vector<std::string> alpn;
  bool allow_renegotiation = false;  // answer a peer's renegotiation; starting one needs it as well
  bool session_tickets = true;       // a server issues, a client accepts sessions for resumption
  // key_log receives lines in the NSS key log format. Thread: the thread inside the verb that produced the line.
  std::function<void(std::string_view line)> key_log;
};

// EngineConfig is what one connection adds.
struct EngineConfig {
  // host is the name (or address literal, v4 or v6 without brackets) that a client connects to. It is sent as SNI if it
  // is a name, and checked against the certificate: a name against dNSName entries (a wildcard as the whole leftmost
  // label, never the subject's CN), an address against iPAddress entries only. A client that verifies must have one.
  std::string host;
  // resume is a session from TlsEngine::session(); empty: a full handshake. It stands for no more than was checked when
  // it was made: for another host, or for a client that checks where nobody did, the peer is verified anew.
  Bytes resume;
};

// Context holds the credentials and settings that many engines share, loaded once. Thread: engines may be made from
// several threads at once. Owns: what it was made from; it must outlive nothing: engines share what they need.
class Context {
 public:
  virtual ~Context() = default;

  // make_engine makes one side of a new connection. Errors: invalid_argument (a client that verifies without a host,
  // a session that cannot be read), no_memory.
  virtual std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const = 0;
};

// Backend is one TLS library. Thread: every verb from any thread; the library's process-wide initialisation happens
// once, inside the first verb that needs it, and is never undone.
class Backend {
 public:
  virtual ~Backend() = default;

  // name is the word used in cells: "openssl", "gnutls", "mbedtls", "null".
  virtual std::string_view name() const noexcept = 0;

  // runtime_version is what the loaded library says of itself at run time, for example "OpenSSL 3.0.19".
  virtual std::string runtime_version() const = 0;

  // capabilities are those of the loaded library.
  virtual const Capabilities& capabilities() const noexcept = 0;

  // ambient is the library's error state that every thread has, for law H1; null if it has none.
  virtual const AmbientSource* ambient() const noexcept { return nullptr; }

  // make_context loads credentials and settings. Errors: unsupported (a version or feature the library lacks),
  // invalid_argument (unreadable PEM, key and certificate that do not match, a server without credentials and psk,
  // verification without trust anchors), no_memory.
  virtual std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig& config) = 0;
};

// backends lists every backend built in, the null backend last. Defined by the build from tls_backend() lines.
std::span<Backend* const> backends();

// find_backend is the backend with that name, or null.
Backend* find_backend(std::string_view name);

}  // namespace rig
