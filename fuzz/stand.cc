#include "fuzz/stand.h"

#include <map>
#include <tuple>
#include <utility>

#include "fuzz/finding.h"
#include "fuzz/lab_target.h"
#include "fuzz/planted.h"
#include "harness/base/check.h"
#include "harness/engine/identities.h"
#include "harness/oracle/resource_count.h"
#include "harness/scenario/app_door.h"
#include "harness/scenario/environment.h"
#include "harness/subjects/subjects.h"

namespace rig {
namespace {

constexpr int empty_turns_max = 100;
constexpr rig_socket_config defaults = [] {
  rig_socket_config config{};
  config.host = "localhost";
  config.nodelay = 1;
  return config;
}();

const rig_subject& the_house() {
  const auto house = find_subject("house");
  RIG_CHECK(house.has_value());
  return **house;
}

const rig_subject& planted_or_house() {
  const rig_subject* const planted = planted_subject();
  return planted != nullptr ? *planted : the_house();
}

std::unique_ptr<End> make_end(Stand& stand, LoopHost& host, Side side, StreamCheck& outgoing, StreamCheck& incoming) {
  EndPlan plan;
  plan.side = side;
  return std::make_unique<End>(stand, host, std::move(plan), outgoing, incoming);
}

std::uint32_t in_all(const rig_loop_counts& counts) {
  return counts.listeners + counts.connecting + counts.handshaking + counts.open + counts.closing + counts.undestroyed +
         counts.registrations;
}

}  // namespace

TlsChoice stand_tls(const std::string& library, bool wants_13) {
  const bool has_13 = (the_house().capabilities(library.c_str()) & RIG_CAN_TLS13) != 0;
  return wants_13 && has_13 ? TlsChoice::tls13 : TlsChoice::tls12;
}

Stand::Stand(const StandPlan& plan)
    : plan_(plan),
      descriptors_before_(open_descriptors()),
      subject_(through_app_door(planted_or_house(), log_)),
      library_watch_(log_, plan.poison),
      kernel_watch_(log_),
      host_(subject_, "loop", signal_, log_),
      up_(static_cast<std::uint64_t>(Side::client), "server 0", log_),
      down_(static_cast<std::uint64_t>(Side::server), "client 0", log_),
      client_(make_end(*this, host_, Side::client, up_, down_)),
      server_(make_end(*this, host_, Side::server, down_, up_)) {
  demand(host_.open({.poller = RIG_POLLER_EPOLL, .fast_track = plan.fast_track ? 1U : 0U}).has_value(),
         "there is no loop");
}

Stand::~Stand() = default;

rig_context* Stand::context(bool server) {
  static auto& made = *new std::map<std::tuple<std::string, TlsChoice, bool, bool>, rig_context*>;
  rig_context*& context = made[{plan_.library, plan_.tls, plan_.renegotiation, server}];
  if (context == nullptr) {
    const Psk psk = test_psk();
    const std::uint32_t version = plan_.tls == TlsChoice::tls13 ? RIG_TLS_1_3 : RIG_TLS_1_2;
    const rig_context_config config{.library = plan_.library.c_str(),
                                    .server = server ? 1U : 0U,
                                    .tls_min = version,
                                    .tls_max = version,
                                    .verify_peer = 0,
                                    .allow_renegotiation = plan_.renegotiation ? 1U : 0U,
                                    .ca_pem = nullptr,
                                    .certificate_pem = nullptr,
                                    .private_key_pem = nullptr,
                                    .psk_identity = psk.identity.c_str(),
                                    .psk = psk.key.data(),
                                    .psk_bytes = psk.key.size(),
                                    .key_log = nullptr,
                                    .key_log_user = nullptr};
    demand(subject_.context_create(&config, &context, nullptr) == RIG_OK, "there is no context");
  }
  return context;
}

void Stand::on_accepted(void* user, rig_socket* socket) {
  Stand& stand = *static_cast<Stand*>(user);
  const CalledBack called_back("listener", "accepted");
  if (stand.server_->has_socket()) {
    stand.subject_.destroy(socket);
  } else {
    stand.server_->adopt(socket);
  }
}

std::uint16_t Stand::listen() {
  constexpr rig_listener_callbacks callbacks{.accepted = on_accepted};
  demand(subject_.listen(host_.loop(), context(true), "127.0.0.1", 0, &defaults, &callbacks, this, &listener_,
                         nullptr) == RIG_OK,
         "there is no listener");
  return subject_.listener_port(listener_);
}

void Stand::connect(std::uint16_t port) {
  rig_socket* socket = nullptr;
  demand(subject_.connect(host_.loop(), context(false), "127.0.0.1", port, &defaults, &End::callbacks(), client_.get(),
                          &socket, nullptr) == RIG_OK,
         "there is no connection");
  client_->take_socket(socket);
}

void Stand::turn(std::uint64_t limit_us) {
  demand(subject_.loop_turn(host_.loop(), limit_us, nullptr) == RIG_OK, "a loop does not turn");
}

void Stand::make_empty() {
  rig_loop_counts counts{};
  for (int turns = 0; turns < empty_turns_max; ++turns) {
    turn(0);
    subject_.loop_counts(host_.loop(), &counts);
    if (in_all(counts) == 0) {
      return;
    }
  }
  log_.report(
      Law::c6_quiet, "loop",
      "with every socket destroyed it still holds " + std::to_string(in_all(counts)) + " sockets and registrations");
}

void Stand::finish() {
  if (listener_ != nullptr) {
    subject_.listener_close(std::exchange(listener_, nullptr));
  }
  for (End* const end : {client_.get(), server_.get()}) {
    end->destroy();
  }
  make_empty();
  for (End* const end : {client_.get(), server_.get()}) {
    if (end->has_socket()) {
      end->ledger().quiet();
    }
  }
  up_.finish(false, 0);
  down_.finish(false, 0);
  if (log_.count() == 0) {
    host_.destroy_loop();
    kernel_watch_.finish_descriptors();
    library_watch_.sessions().given_back(log_);
    judge_descriptors(descriptors_before_, open_descriptors(), log_);
  }
  found_if_broken(log_);
}

}  // namespace rig
