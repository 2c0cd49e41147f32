// Identities: the certificates and keys that tests, suites and benchmarks put on their peers.
//
// All keys are RSA-2048, so that a flight with a certificate is as long in every run. `ci/certs` makes the files of
// harness/engine/certs/ anew; the build embeds them, so that no binary looks for a file. They are public: trust none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/engine/backend.h"

namespace rig {

// Identity names a certificate with its private key. Unless said otherwise it is signed by the authority of ca_pem(),
// valid from 2020 to 2060, and names as subjectAltName: dNSName localhost, tlsrig.test, *.wild.test; iPAddress
// 127.0.0.1, ::1; the subject is "CN=tlsrig server", which is no name of any host.
enum class Identity : std::uint8_t {
  server,            // the one that every client should accept
  chained,           // like server, signed by an intermediate authority that is part of the chain
  untrusted,         // like server, signed by another authority (other_ca_pem())
  expired,           // valid until 2021
  not_yet_valid,     // valid from 2059
  cn_only,           // "CN=localhost" and no subjectAltName at all
  wrong_host,        // dNSName elsewhere.test only
  ip_as_dns,         // dNSName "127.0.0.1" only: an address in the wrong kind of entry
  odd_names,         // like server, whose names come behind one of 292 bytes and kinds that no host has
  client,            // a client's: no subjectAltName, usable for client authentication only
  untrusted_client,  // like client, signed by the other authority
};

// identity_name is the stable word for `identity` ("cn_only").
std::string_view identity_name(Identity identity) noexcept;

// ca_pem is the authority that peers trust. other_ca_pem is one that they do not. Owns: static storage.
const std::string& ca_pem();
const std::string& other_ca_pem();

// credentials are the chain (leaf first) and the key of `identity`.
Credentials credentials(Identity identity);

// mismatched_credentials are the server's certificate with another key: no backend may accept them.
Credentials mismatched_credentials();

// test_psk is the pre-shared key that peers use where certificates are not the subject.
Psk test_psk();

}  // namespace rig
