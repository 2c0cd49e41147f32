// Whom a client of each library believes: the laws of X1 at a handshake that must not succeed.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "harness/engine/identities.h"
#include "harness/subjects/direct/direct.h"
#include "harness/subjects/direct/session.h"

namespace rig::direct {
namespace {

// Outcome is how `connected` came at one end.
struct Outcome {
  std::optional<rig_status> connected;
  bool closed = false;
};

Outcome& outcome(void* user) {
  return *static_cast<Outcome*>(user);
}

constexpr rig_socket_callbacks callbacks{
    .connected = [](void* user,
                    const rig_error* error) { outcome(user).connected = error != nullptr ? error->status : RIG_OK; },
    .data = [](void*, const std::uint8_t*, std::size_t) {},
    .ended = [](void*) {},
    .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
    .writable = [](void*) {},
    .closed = [](void* user, const rig_error*) { outcome(user).closed = true; }};

class DirectVerification : public testing::TestWithParam<const Library*> {
 protected:
  DirectVerification() {
    const rig_loop_config config{.poller = RIG_POLLER_POLL, .fast_track = 1};
    EXPECT_EQ(subject_.loop_create(&config, &loop_, nullptr), RIG_OK);
  }
  ~DirectVerification() override {
    for (rig_socket* socket : sockets_) {
      subject_.destroy(socket);
    }
    subject_.loop_destroy(loop_);
  }

  // greet makes a client that wants to reach `host` meet a server that is `identity`.
  void greet(Identity identity, const char* host) {
    const Credentials credentials = rig::credentials(identity);
    rig_context_config config{};
    config.library = GetParam()->name;
    config.tls_min = config.tls_max = RIG_TLS_1_2;
    config.server = 1;
    config.certificate_pem = credentials.certificate_chain_pem.c_str();
    config.private_key_pem = credentials.private_key_pem.c_str();
    rig_context* serving = nullptr;
    ASSERT_EQ(subject_.context_create(&config, &serving, nullptr), RIG_OK);
    rig_context* calling = calling_context();
    rig_socket_config options{};
    options.host = host;
    const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      auto& self = *static_cast<DirectVerification*>(user);
      self.sockets_.push_back(socket);
      self.subject_.adopt(socket, &callbacks, &self.server_);
    }};
    rig_listener* listener = nullptr;
    ASSERT_EQ(subject_.listen(loop_, serving, "127.0.0.1", 0, &options, &accepting, this, &listener, nullptr), RIG_OK);
    rig_socket* client = nullptr;
    ASSERT_EQ(subject_.connect(loop_, calling, "127.0.0.1", subject_.listener_port(listener), &options, &callbacks,
                               &client_, &client, nullptr),
              RIG_OK);
    sockets_.push_back(client);
    for (int turns = 0; turns < 1000 && !(client_.connected.has_value() && server_.connected.has_value()); ++turns) {
      ASSERT_EQ(subject_.loop_turn(loop_, 100'000, nullptr), RIG_OK);
    }
    subject_.listener_close(listener);
    subject_.context_destroy(serving);
    subject_.context_destroy(calling);
  }

  rig_context* calling_context() {
    rig_context_config config{};
    config.library = GetParam()->name;
    config.tls_min = config.tls_max = RIG_TLS_1_2;
    config.verify_peer = 1;
    config.ca_pem = ca_pem().c_str();
    rig_context* context = nullptr;
    EXPECT_EQ(subject_.context_create(&config, &context, nullptr), RIG_OK);
    return context;
  }

  const rig_subject& subject_ = *direct_subject();
  rig_loop* loop_ = nullptr;
  std::vector<rig_socket*> sockets_;
  Outcome client_;
  Outcome server_;
};

TEST_P(DirectVerification, the_server_that_was_meant_is_believed) {
  greet(Identity::server, "localhost");
  EXPECT_EQ(client_.connected, RIG_OK);
  EXPECT_EQ(server_.connected, RIG_OK);
  rig_socket_info info{};
  subject_.info(sockets_[0], &info);
  rig_socket_info other{};
  subject_.info(sockets_[1], &other);
  EXPECT_EQ(info.peer_verified + other.peer_verified, 1U) << "the client's side alone has verified";
}

TEST_P(DirectVerification, a_chain_through_an_intermediate_authority_is_believed) {
  greet(Identity::chained, "localhost");
  EXPECT_EQ(client_.connected, RIG_OK);
}

TEST_P(DirectVerification, another_name_another_authority_and_an_old_certificate_are_not_believed) {
  for (const Identity identity : {Identity::wrong_host, Identity::untrusted, Identity::expired}) {
    client_ = server_ = {};
    greet(identity, "localhost");
    EXPECT_EQ(client_.connected, RIG_VERIFICATION_FAILED) << identity_name(identity);
    EXPECT_EQ(server_.connected, RIG_PEER_ALERT) << identity_name(identity);
    EXPECT_TRUE(client_.closed);
  }
}

TEST_P(DirectVerification, a_client_that_does_not_say_whom_it_wants_is_refused) {
  rig_context* context = calling_context();
  const rig_socket_config options{};
  rig_socket* socket = nullptr;
  EXPECT_EQ(subject_.connect(loop_, context, "127.0.0.1", 1, &options, &callbacks, &client_, &socket, nullptr),
            RIG_INVALID_ARGUMENT);
  subject_.context_destroy(context);
}

std::vector<const Library*> all() {
  return {libraries().begin(), libraries().end()};
}

INSTANTIATE_TEST_SUITE_P(All, DirectVerification, testing::ValuesIn(all()),
                         [](const auto& library) { return std::string(library.param->name); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DirectVerification);

}  // namespace
}  // namespace rig::direct
