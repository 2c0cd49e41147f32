#include "harness/engine/identities.h"

#include "harness/base/check.h"

namespace rig {

// embedded_pem is the text of certs/NAME.pem; empty if there is no such file. Defined by the build.
std::string_view embedded_pem(std::string_view name) noexcept;

namespace {

std::string pem_file(std::string_view name) {
  const std::string_view text = embedded_pem(name);
  RIG_CHECK(!text.empty());
  return std::string(text);
}

}  // namespace

std::string_view identity_name(Identity identity) noexcept {
  switch (identity) {
    case Identity::server:
      return "server";
    case Identity::chained:
      return "chained";
    case Identity::untrusted:
      return "untrusted";
    case Identity::expired:
      return "expired";
    case Identity::not_yet_valid:
      return "not_yet_valid";
    case Identity::cn_only:
      return "cn_only";
    case Identity::wrong_host:
      return "wrong_host";
    case Identity::ip_as_dns:
      return "ip_as_dns";
    case Identity::odd_names:
      return "odd_names";
    case Identity::client:
      return "client";
    case Identity::untrusted_client:
      return "untrusted_client";
  }
  return "unknown";
}

const std::string& ca_pem() {
  static const std::string pem = pem_file("ca");
  return pem;
}

const std::string& other_ca_pem() {
  static const std::string pem = pem_file("other_ca");
  return pem;
}

Credentials credentials(Identity identity) {
  const std::string name(identity_name(identity));
  return {.certificate_chain_pem = pem_file(name), .private_key_pem = pem_file(name + ".key")};
}

Credentials mismatched_credentials() {
  return {.certificate_chain_pem = pem_file("server"), .private_key_pem = pem_file("wrong_host.key")};
}

Psk test_psk() {
  static constexpr std::uint8_t key[32] = {0x74, 0x6c, 0x73, 0x72, 0x69, 0x67, 0x20, 0x74, 0x65, 0x73, 0x74,
                                           0x20, 0x70, 0x72, 0x65, 0x2d, 0x73, 0x68, 0x61, 0x72, 0x65, 0x64,
                                           0x20, 0x6b, 0x65, 0x79, 0x2c, 0x20, 0x33, 0x32, 0x20, 0x62};
  return {.identity = "tlsrig", .key = Bytes(std::begin(key), std::end(key))};
}

}  // namespace rig
