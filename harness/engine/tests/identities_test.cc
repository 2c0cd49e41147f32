// The embedded certificates are complete and are what their names say, as far as text can tell.
#include "harness/engine/identities.h"

#include <gtest/gtest.h>

#include <set>

namespace rig {
namespace {

constexpr Identity every_identity[] = {
    Identity::server,        Identity::chained, Identity::untrusted,        Identity::expired,
    Identity::not_yet_valid, Identity::cn_only, Identity::wrong_host,       Identity::ip_as_dns,
    Identity::odd_names,     Identity::client,  Identity::untrusted_client,
};

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    ++found;
  }
  return found;
}

TEST(Identities, each_has_a_chain_and_a_key_of_its_own) {
  std::set<std::string> chains;
  std::set<std::string> keys;
  for (const Identity identity : every_identity) {
    const Credentials own = credentials(identity);
    SCOPED_TRACE(identity_name(identity));
    EXPECT_EQ(count(own.certificate_chain_pem, "-----BEGIN CERTIFICATE-----"), identity == Identity::chained ? 2U : 1U);
    EXPECT_EQ(count(own.private_key_pem, "-----BEGIN PRIVATE KEY-----"), 1U);
    EXPECT_TRUE(own.private_key_pem.ends_with("-----END PRIVATE KEY-----\n"));
    chains.insert(own.certificate_chain_pem);
    keys.insert(own.private_key_pem);
  }
  EXPECT_EQ(chains.size(), std::size(every_identity));
  EXPECT_EQ(keys.size(), std::size(every_identity));
}

TEST(Identities, the_authorities_differ) {
  EXPECT_EQ(count(ca_pem(), "-----BEGIN CERTIFICATE-----"), 1U);
  EXPECT_EQ(count(other_ca_pem(), "-----BEGIN CERTIFICATE-----"), 1U);
  EXPECT_NE(ca_pem(), other_ca_pem());
}

TEST(Identities, mismatched_credentials_are_two_halves) {
  const Credentials mixed = mismatched_credentials();
  EXPECT_EQ(mixed.certificate_chain_pem, credentials(Identity::server).certificate_chain_pem);
  EXPECT_NE(mixed.private_key_pem, credentials(Identity::server).private_key_pem);
}

TEST(Identities, the_pre_shared_key_is_a_constant_of_32_bytes) {
  EXPECT_EQ(test_psk().identity, "tlsrig");
  EXPECT_EQ(test_psk().key.size(), 32U);
  EXPECT_EQ(test_psk().key, test_psk().key);
}

}  // namespace
}  // namespace rig
