// What the adapter of Asio says to OpenSSL by itself, since Asio has no words for it: versions, pre-shared keys, and
// what was negotiated.
#pragma once

#include <asio/ssl.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/subjects/subject.h"

namespace asio_guest {

// Context is what a rig_context of this subject is. Thread: any, once it is made.
struct Context {
  // Errors: throws asio::system_error where Asio does.
  explicit Context(const rig_context_config& config);

  asio::ssl::context tls;
  const bool verifies;  // a pre-shared key stands in for certificates
  std::string psk_identity;
  std::vector<std::uint8_t> psk;

 private:
  void take_key(const rig_context_config& config);
};

// describe writes what a finished handshake has negotiated.
void describe(SSL* session, bool verifies, rig_socket_info& info);

// library_version is what the loaded library says of itself.
std::string library_version();

// is_bad_record says whether a record could not be decrypted.
bool is_bad_record(const asio::error_code& failure);

// error_of fills `error`, if it is not null, with the class of what Asio reports, unless it is known better.
rig_status error_of(const asio::error_code& failure, std::optional<rig_status> known, rig_error* error);

}  // namespace asio_guest
