#include "harness/scenario/run.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "harness/base/check.h"
#include "harness/engine/identities.h"
#include "harness/lab/lab.h"
#include "harness/scenario/app_door.h"
#include "harness/scenario/environment.h"
#include "harness/subjects/abi.h"

namespace rig {
namespace {

std::uint32_t poller_bit(PollerChoice poller) {
  return poller == PollerChoice::epoll  ? RIG_POLLER_EPOLL
         : poller == PollerChoice::poll ? RIG_POLLER_POLL
                                        : RIG_POLLER_SELECT;
}

std::uint32_t tls_number(TlsChoice tls) {
  return tls == TlsChoice::tls12 ? RIG_TLS_1_2 : tls == TlsChoice::tls13 ? RIG_TLS_1_3 : RIG_TLS_NONE;
}

const char* loopback_host(const Cell& cell) {
  return cell.ipv6 ? "::1" : "127.0.0.1";
}

// relay_is_ordered says that a step of connection `index` has something to say to its relay.
bool relay_is_ordered(const Scenario& scenario, std::uint32_t index) {
  return std::ranges::any_of(scenario.threads, [index](const Thread& thread) {
    return thread.connection.value_or(index) == index && std::ranges::any_of(thread.steps, [](const Step& step) {
             return step.verb == Verb::relay_stall || step.verb == Verb::relay_flow || step.verb == Verb::relay_reset ||
                    step.verb == Verb::relay_fin;
           });
  });
}

// Where descriptors begin at 0, the first three belong to somebody else until everything is open, as the standard ones
// of a program do that closes them later: what takes their place is a connection, not a loop's own descriptor.
class LowNumbers {
 public:
  explicit LowNumbers(bool wanted) {
    const lab::Acting rig(lab::Party::rig);
    for (int& descriptor : taken_) {
      descriptor = wanted ? ::eventfd(0, EFD_CLOEXEC) : -1;
    }
  }
  ~LowNumbers() {
    const lab::Acting rig(lab::Party::rig);
    for (const int descriptor : taken_) {
      if (descriptor >= 0) {
        ::close(descriptor);
      }
    }
  }
  LowNumbers(const LowNumbers&) = delete;
  LowNumbers& operator=(const LowNumbers&) = delete;

 private:
  std::array<int, 3> taken_{};
};

}  // namespace

Run::Run(const Scenario& scenario, const rig_subject& subject, const RunOptions& options)
    : scenario_(scenario),
      subject_(through_app_door(subject, log_)),
      stall_limit_(options.stall_limit_us),
      connections_(scenario.settings.connections) {
  if (options.laws == LawScope::all) {
    library_watch_ = std::make_unique<LibraryWatch>(log_);
    kernel_watch_ = std::make_unique<KernelWatch>(log_);
  }
}

Run::~Run() = default;

Status Run::open() {
  descriptors_before_ = open_descriptors();
  const LowNumbers low(lab::running() && scenario_.lab.first_descriptor == 0);
  RIG_TRY_STATUS(open_loops());
  RIG_TRY_STATUS(open_contexts());
  if (scenario_.settings.peer == Peer::plaintext) {
    RIG_TRY(server, PlaintextServer::open(scenario_.cell.ipv6));
    plaintext_server_ = std::move(server);
  }
  if (scenario_.settings.peer == Peer::nobody || scenario_.settings.refused > 0) {
    RIG_TRY(closed, ClosedPort::open(scenario_.cell.ipv6));
    closed_port_ = std::move(closed);
  }
  if (scenario_.settings.peer == Peer::deaf) {
    RIG_TRY(deaf, DeafPort::open(scenario_.cell.ipv6));
    deaf_port_ = std::move(deaf);
  }
  const bool elsewhere =
      std::ranges::any_of(scenario_.reactions, [](const Reaction& r) { return r.verb == Verb::echo_elsewhere; });
  if (elsewhere) {
    echo_worker_ = std::make_unique<EchoWorker>(signal_);
  }
  if (lab::running() && asks_wire()) {
    lab::observe_resets(this);
  }
  for (std::uint32_t index = 0; index < connections_.size(); ++index) {
    RIG_TRY_STATUS(open_connection(index));
  }
  make_scripts();
  return {};
}

bool Run::asks_wire() const {
  return scenario_.cell.tls != TlsChoice::none && scenario_.settings.peer == Peer::subject;
}

void Run::announce(std::uint32_t index, std::uint16_t listener_port) {
  if (kernel_watch_ == nullptr) {
    return;
  }
  std::optional<WireRules> rules;
  if (asks_wire()) {
    rules = {.tls13 = scenario_.cell.tls == TlsChoice::tls13, .renegotiates = scenario_.settings.renegotiation};
  }
  const auto pushes_of = [](const std::unique_ptr<End>& end) { return end ? &end->pushes() : nullptr; };
  const Connection& connection = connections_[index];
  kernel_watch_->announce(WireSide::client, index, connection.port, rules, pushes_of(connection.client));
  kernel_watch_->announce(WireSide::server, index, listener_port, rules, pushes_of(connection.server));
}

void Run::cut(std::uint32_t connection, std::optional<std::int64_t> fault_ns) noexcept {
  connections_[connection].was_cut = true;
  if (fault_ns.has_value()) {
    connections_[connection].fault_cut_ns = *fault_ns;
  }
}

Status Run::open_loops() {
  const rig_loop_config config{.poller = poller_bit(scenario_.cell.poller),
                               .fast_track = scenario_.cell.fast_track ? 1u : 0u};
  const std::size_t clients = scenario_.settings.loop_per_client ? connections_.size() : 1;
  for (std::size_t i = 0; i < clients; ++i) {
    client_hosts_.push_back(std::make_unique<LoopHost>(subject_, "client loop " + std::to_string(i), signal_, log_));
    RIG_TRY_STATUS(client_hosts_.back()->open(config));
  }
  if (!scenario_.settings.one_loop) {
    server_host_ = std::make_unique<LoopHost>(subject_, "server loop", signal_, log_);
    RIG_TRY_STATUS(server_host_->open(config));
  }
  return {};
}

// In a fresh process the first use of the libraries is the situation: then each connection has a context of its own,
// and all of them are made at the same moment.
Status Run::open_contexts() {
  const bool race = scenario_.settings.fresh_process;
  client_contexts_.resize(race ? connections_.size() : 1);
  std::vector<std::pair<Side, rig_context**>> wanted;
  for (rig_context*& context : client_contexts_) {
    wanted.emplace_back(Side::client, &context);
  }
  if (plays(scenario_.settings.peer, Side::server)) {
    wanted.emplace_back(Side::server, &server_context_);
  }
  std::vector<Status> made(wanted.size());
  std::atomic<std::size_t> ready{0};
  const auto make = [&](std::size_t i) {
    ++ready;
    while (race && ready.load() < wanted.size()) {
      std::this_thread::yield();
    }
    auto context = make_context(wanted[i].first);
    if (context.has_value()) {
      *wanted[i].second = *context;
    } else {
      made[i] = std::unexpected(context.error());
    }
  };
  std::vector<std::thread> racers;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (race) {
      racers.emplace_back(make, i);
    } else {
      make(i);
    }
  }
  for (std::thread& racer : racers) {
    racer.join();
  }
  for (Status& status : made) {
    RIG_TRY_STATUS(std::move(status));
  }
  return {};
}

std::expected<rig_context*, Error> Run::make_context(Side side) {
  const Cell& cell = scenario_.cell;
  const bool server = side == Side::server;
  const bool certificates = cell.auth == Auth::certificate && cell.tls != TlsChoice::none;
  const Credentials own = certificates ? credentials(Identity::server) : Credentials{};
  const bool stranger = scenario_.settings.strangers && !server;
  Psk psk = test_psk();
  psk.key.back() ^= stranger ? 1 : 0;
  const bool with_psk = cell.auth == Auth::psk && cell.tls != TlsChoice::none;
  const rig_context_config config{
      .library = server ? cell.server.c_str() : cell.client.c_str(),
      .server = server ? 1u : 0u,
      .tls_min = tls_number(cell.tls),
      .tls_max = tls_number(cell.tls),
      .verify_peer = server || !certificates ? 0u : 1u,
      .allow_renegotiation = scenario_.settings.renegotiation ? 1u : 0u,
      .ca_pem = certificates && !server ? (stranger ? other_ca_pem() : ca_pem()).c_str() : nullptr,
      .certificate_pem = certificates && server ? own.certificate_chain_pem.c_str() : nullptr,
      .private_key_pem = certificates && server ? own.private_key_pem.c_str() : nullptr,
      .psk_identity = with_psk ? psk.identity.c_str() : nullptr,
      .psk = with_psk ? psk.key.data() : nullptr,
      .psk_bytes = with_psk ? psk.key.size() : 0,
      .key_log = nullptr,
      .key_log_user = nullptr};
  rig_context* context = nullptr;
  rig_error error{};
  const rig_status status = subject_.context_create(&config, &context, &error);
  HygieneProbe(std::string(word(side)) + " context", log_).after("context_create");
  if (status != RIG_OK) {
    return std::unexpected(from_abi(error));
  }
  return context;
}

rig_socket_config Run::socket_config(Side side) const {
  const Settings& settings = scenario_.settings;
  return {.host = "localhost",
          .nodelay = (side == Side::client ? scenario_.cell.nodelay_client : scenario_.cell.nodelay_server) ? 1u : 0u,
          .queue_ops_max = settings.queue_ops,
          .queue_bytes_max = settings.queue_bytes,
          .kernel_send_bytes = settings.kernel_send_bytes,
          .kernel_recv_bytes = settings.kernel_recv_bytes,
          .connect_timeout_us = settings.connect_timeout_us,
          .handshake_timeout_us = settings.handshake_timeout_us,
          .close_timeout_us = settings.close_timeout_us,
          .connections_max = 0};
}

EndPlan Run::plan(Side side, std::uint32_t index) const {
  EndPlan plan{.side = side,
               .connection = index,
               .reactions = {},
               .order_promised = false,
               .memory_may_fail = scenario_.memory_may_fail,
               .queue = {},
               .says = scenario_.settings.says};
  for (const Reaction& reaction : scenario_.reactions) {
    if (reaction.side == side && reaction.connection.value_or(index) == index) {
      plan.reactions.push_back(reaction);
    }
  }
  plan.order_promised = (capabilities(side) & RIG_CAN_ORDER_COMPLETIONS) != 0;
  if ((capabilities(side) & RIG_CAN_LIMIT_QUEUE) != 0) {
    plan.queue = {.ops = scenario_.settings.queue_ops, .bytes = scenario_.settings.queue_bytes};
  }
  return plan;
}

std::uint32_t Run::capabilities(Side side) const {
  return subject_.capabilities((side == Side::client ? scenario_.cell.client : scenario_.cell.server).c_str());
}

void Run::make_ends(std::uint32_t index) {
  Connection& connection = connections_[index];
  LoopHost& client_host = *client_hosts_[scenario_.settings.loop_per_client ? index : 0];
  LoopHost& server_host = server_host_ ? *server_host_ : *client_hosts_[0];
  const std::string number = std::to_string(index);
  connection.up = std::make_unique<StreamCheck>(std::uint64_t{index} * 2, "server " + number, log_);
  connection.down = std::make_unique<StreamCheck>(std::uint64_t{index} * 2 + 1, "client " + number, log_);
  if (plays(scenario_.settings, index, Side::client)) {
    connection.client =
        std::make_unique<End>(*this, client_host, plan(Side::client, index), *connection.up, *connection.down);
  }
  if (plays(scenario_.settings, index, Side::server)) {
    connection.server =
        std::make_unique<End>(*this, server_host, plan(Side::server, index), *connection.down, *connection.up);
  }
}

Status Run::open_connection(std::uint32_t index) {
  make_ends(index);
  Connection& connection = connections_[index];
  if (plaintext_server_) {
    connection.port = plaintext_server_->port();
  } else if (deaf_port_) {
    connection.port = deaf_port_->port();
  } else if (is_refused(index)) {
    connection.port = closed_port_->port();
  } else {
    RIG_TRY_STATUS(open_listener(connection));
  }
  const std::uint16_t listener_port = connection.port;
  if (lab::running()) {
    lab::name_connection(connection.port, index);
  }
  if (scenario_.settings.relay && relay_is_ordered(scenario_, index)) {
    RIG_TRY(relay, Relay::open(scenario_.cell.ipv6, connection.port, signal_));
    connection.port = relay->port();
    connection.relay = std::move(relay);
  }
  announce(index, listener_port);
  return {};
}

bool Run::is_refused(std::uint32_t index) const {
  return scenario_.settings.peer == Peer::nobody ||
         (scenario_.settings.peer == Peer::subject && !plays(scenario_.settings, index, Side::server));
}

Status Run::open_listener(Connection& connection) {
  static const rig_listener_callbacks callbacks{.accepted = [](void* user, rig_socket* socket) {
    auto& end = *static_cast<End*>(user);
    const CalledBack called_back(end.name(), "accepted");
    end.adopt(socket);
  }};
  const rig_socket_config config = socket_config(Side::server);
  rig_error error{};
  const rig_status status =
      subject_.listen(connection.server->host().loop(), server_context_, loopback_host(scenario_.cell), 0, &config,
                      &callbacks, connection.server.get(), &connection.listener, &error);
  if (status != RIG_OK) {
    return std::unexpected(from_abi(error));
  }
  connection.port = subject_.listener_port(connection.listener);
  return {};
}

void Run::make_scripts() {
  const Prng workload = Prng(scenario_.seed).fork(1);
  std::uint64_t number = 0;
  for (const Thread& thread : scenario_.threads) {
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
      const Connection& connection = connections_[index];
      End* const end = thread.side == Side::client ? connection.client.get() : connection.server.get();
      if (thread.connection.value_or(index) != index || end == nullptr) {
        continue;
      }
      for (std::uint32_t copy = 0; copy < thread.copies; ++copy) {
        std::string name = "thread " + std::to_string(number) + " of " + end->name();
        scripts_.push_back(std::make_unique<Script>(*this, *end, thread, std::move(name), workload.fork(number++)));
        if (thread.where == Where::loop) {
          end->host().add(*scripts_.back());
        }
        for (const Step& step : thread.steps) {
          if (step.verb == Verb::align) {
            ++alignments_[step.count].needed;
          }
        }
      }
    }
  }
}

void Run::start() {
  each_host([](LoopHost& host) { host.start(); });
  for (const auto& script : scripts_) {
    if (script->thread().where == Where::beside) {
      threads_.emplace_back([&script = *script] { script.main(); });
    }
  }
  if (scenario_.settings.peer == Peer::plaintext_client) {
    for (Connection& connection : connections_) {
      connection.plaintext_client = std::make_unique<PlaintextClient>(scenario_.cell.ipv6, connection.port, signal_);
    }
  }
}

bool Run::scripts_done() const {
  return std::ranges::all_of(scripts_, [](const auto& script) { return script->done(); });
}

bool Run::wait_for_scripts() {
  return signal_.wait_until([this] { return scripts_done(); }, stall_limit_);
}

bool Run::delivered() const {
  return std::ranges::all_of(connections_, [](const Connection& connection) {
    // What a closed receiver did not get is judged by the streams, not waited for. One that has no socket yet will be
    // accepted: plain TCP lets a client send before that.
    const auto through = [](const End* receiver, const End* sender) {
      return receiver == nullptr || sender == nullptr || receiver->closed() ||
             receiver->incoming().received_bytes() >= sender->outgoing().accepted_bytes();
    };
    return through(connection.server.get(), connection.client.get()) &&
           through(connection.client.get(), connection.server.get());
  });
}

bool Run::wait_for_delivery() {
  return !scenario_.all_delivered || scenario_.memory_may_fail ||
         signal_.wait_until([this] { return signal_.holds_between_reactions([this] { return delivered(); }); },
                            stall_limit_);
}

void Run::echo_elsewhere(End& end, Bytes bytes) {
  echo_worker_->push(end, std::move(bytes));
}

End* Run::next_on_side(const End& end) {
  if (connections_.size() < 2) {
    return nullptr;
  }
  Connection& next = connections_[(end.plan().connection + 1) % connections_.size()];
  return end.plan().side == Side::client ? next.client.get() : next.server.get();
}

void Run::stop_listening(const End& end) {
  rig_listener*& listener = connections_[end.plan().connection].listener;
  if (listener != nullptr) {
    subject_.listener_close(std::exchange(listener, nullptr));
  }
}

void Run::open_another(const End& end) {
  const VisitorPlan plan{.loop = end.host().loop(),
                         .client = client_contexts_[0],
                         .server = server_context_,
                         .host = loopback_host(scenario_.cell)};
  auto visitor = std::make_unique<Visitor>(subject_, plan, signal_, log_);
  const MutexLock lock(visitors_mutex_);
  visitors_.push_back(std::move(visitor));
}

void Run::connect(End& end) {
  const std::uint32_t index = end.plan().connection;
  rig_context* const context = client_contexts_[client_contexts_.size() > 1 ? index : 0];
  const rig_socket_config config = socket_config(Side::client);
  rig_socket* socket = nullptr;
  rig_error error{};
  end.note_begun();
  const rig_status status =
      subject_.connect(end.host().loop(), context, loopback_host(scenario_.cell), connections_[index].port, &config,
                       &End::callbacks(), &end, &socket, &error);
  HygieneProbe(end.name(), log_).after("connect");
  if (status != RIG_OK) {
    end.refuse_connect(from_abi(error));
    if (scenario_.memory_may_fail) {
      judge_lack(end.name(), from_abi(error), log_);
    }
    return;
  }
  end.take_socket(socket);
  signal_.changed();
}

End* Run::peer_of(const End& end) const {
  const Connection& connection = connections_[end.plan().connection];
  return end.plan().side == Side::client ? connection.server.get() : connection.client.get();
}

Relay* Run::relay_of(const End& end) {
  return connections_[end.plan().connection].relay.get();
}

void Run::arrive(std::uint64_t label) {
  ++alignments_.at(label).arrived;
  if (aligned(label)) {
    signal_.changed();
  }
}

bool Run::aligned(std::uint64_t label) {
  const Alignment& alignment = alignments_.at(label);
  return alignment.arrived.load() >= alignment.needed;
}

}  // namespace rig
