// How many runs a second the lab makes on one processor: schedules of a layer without crypto, and connections with TLS.
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "harness/engine/identities.h"
#include "harness/lab/lab.h"
#include "harness/subjects/house.h"

namespace rig::bench {
namespace {

constexpr int repetitions = 7;

[[noreturn]] void give_up(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "bench_lab: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(why.size()), why.data());
  std::exit(3);
}

void demand(rig_status status, std::string_view what, const rig_error& error) {
  if (status != RIG_OK) {
    give_up(what, error.detail);
  }
}

// Load is what one run does.
struct Load {
  const char* name;
  const char* library;
  bool tls;
  int senders;  // threads; 0: the thread of the loop sends
  int ops;      // of each
};
constexpr std::array loads{Load{"null: connect, 2 threads x 4 ops, close", "null", false, 2, 4},
                           Load{"openssl: connect, TLS 1.3, 100 messages, close", "openssl", true, 0, 100}};

// Contexts are made before there are runs, as a program does at its start.
struct Contexts {
  rig_context* client = nullptr;
  rig_context* server = nullptr;
};

Contexts make_contexts(const Load& load) {
  const std::string ca = ca_pem();
  const auto identity = credentials(Identity::server);
  const auto make = [&](bool server) {
    rig_context_config config{};
    config.library = load.library;
    config.server = server ? 1 : 0;
    config.tls_min = config.tls_max = load.tls ? RIG_TLS_1_3 : RIG_TLS_NONE;
    if (load.tls && server) {
      config.certificate_pem = identity.certificate_chain_pem.c_str();
      config.private_key_pem = identity.private_key_pem.c_str();
    } else if (load.tls) {
      config.ca_pem = ca.c_str();
      config.verify_peer = 1;
    }
    rig_context* context = nullptr;
    rig_error error{};
    demand(house_subject()->context_create(&config, &context, &error), "the context", error);
    return context;
  };
  return {.client = make(false), .server = make(true)};
}

// Connection is one run: a client and a server on one loop.
class Connection {
 public:
  Connection(const Load& load, const Contexts& contexts) : load_(load), contexts_(contexts) {}

  void run() {
    open();
    std::vector<std::thread> senders;
    for (int i = 0; i < load_.senders; ++i) {
      senders.emplace_back([this, i] { send_all(static_cast<std::uint64_t>(i) << 32); });
    }
    if (load_.senders == 0) {
      send_all(0);
    }
    const auto ops = static_cast<std::size_t>(load_.ops * std::max(load_.senders, 1));
    while (server_.received < ops * message_bytes || client_.completed < ops - at_once_) {
      turn();
    }
    for (std::thread& sender : senders) {
      sender.join();
    }
    layer_.close(client_.socket, RIG_CLOSE_GRACEFUL, nullptr);
    while (!client_.closed || !server_.closed) {
      turn();
    }
    layer_.destroy(client_.socket);
    layer_.destroy(server_.socket);
    layer_.loop_destroy(loop_);
  }

 private:
  static constexpr std::size_t message_bytes = 64;

  struct Peer {
    rig_socket* socket = nullptr;
    bool connected = false;
    bool closed = false;
    std::size_t completed = 0;
    std::size_t received = 0;
  };

  static const rig_socket_callbacks& callbacks() {
    static const rig_socket_callbacks table{
        .connected =
            [](void* user, const rig_error* error) {
              if (error != nullptr) {
                give_up("the handshake", error->detail);
              }
              static_cast<Peer*>(user)->connected = true;
            },
        .data = [](void* user, const std::uint8_t*, std::size_t count) { static_cast<Peer*>(user)->received += count; },
        .ended =
            [](void* user) { house_subject()->close(static_cast<Peer*>(user)->socket, RIG_CLOSE_GRACEFUL, nullptr); },
        .sent = [](void* user, std::uint64_t, std::size_t, const rig_error*) { ++static_cast<Peer*>(user)->completed; },
        .writable = [](void*) {},
        .closed = [](void* user, const rig_error*) { static_cast<Peer*>(user)->closed = true; }};
    return table;
  }

  void open() {
    rig_error error{};
    const rig_loop_config loop_config{.poller = RIG_POLLER_EPOLL, .fast_track = 1};
    demand(layer_.loop_create(&loop_config, &loop_, &error), "the loop", error);
    rig_socket_config config{};
    config.host = "localhost";
    config.nodelay = 1;
    static const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      auto& me = *static_cast<Connection*>(user);
      me.server_.socket = socket;
      me.layer_.adopt(socket, &callbacks(), &me.server_);
    }};
    rig_listener* listener = nullptr;
    demand(layer_.listen(loop_, contexts_.server, "127.0.0.1", 0, &config, &accepting, this, &listener, &error),
           "the listener", error);
    demand(layer_.connect(loop_, contexts_.client, "127.0.0.1", layer_.listener_port(listener), &config, &callbacks(),
                          &client_, &client_.socket, &error),
           "the connection", error);
    while (!client_.connected || !server_.connected) {
      turn();
    }
    layer_.listener_close(listener);
  }

  // Thread: any.
  void send_all(std::uint64_t token) {
    const std::array<std::uint8_t, message_bytes> payload{};
    rig_error error{};
    for (int i = 0; i < load_.ops; ++i) {
      switch (layer_.send(client_.socket, ++token, payload.data(), payload.size(), 0, &error)) {
        case RIG_SEND_COMPLETED:
          ++at_once_;
          break;
        case RIG_SEND_PENDING:
          break;
        case RIG_SEND_REFUSED:
          give_up("a send", error.detail);
      }
    }
  }

  void turn() {
    rig_error error{};
    demand(layer_.loop_turn(loop_, 1'000'000, &error), "the loop", error);
  }

  const rig_subject& layer_ = *house_subject();
  const Load& load_;
  const Contexts& contexts_;
  rig_loop* loop_ = nullptr;
  Peer client_;
  Peer server_;
  std::atomic<std::size_t> at_once_{0};
};

// Way is how a run is made.
enum class Way : std::uint8_t { crew, new_threads, fork };
constexpr const char* way_names[] = {"in process, crew", "in process, new threads", "fork per seed"};

lab::Outcome run_once(const Load& load, const Contexts& contexts, Way way, std::uint64_t seed) {
  lab::Options options;
  options.seed = seed;
  options.crew = way == Way::crew;
  options.watchdog = false;
  return lab::run(options, [&] { Connection(load, contexts).run(); });
}

void run_in_fork(const Load& load, const Contexts& contexts, std::uint64_t seed) {
  const pid_t child = ::fork();
  if (child == 0) {
    run_once(load, contexts, Way::fork, seed);
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) {
    give_up("a child", "it failed");
  }
}

// used_s is the processor time, in seconds, of the process and of its children that have ended.
double used_s() {
  double all = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
      all += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) / 1e6;
    }
  }
  return all;
}

// measure answers runs per second of processor time, over seeds from `first` on.
double measure(const Load& load, const Contexts& contexts, Way way, std::uint64_t first, double span_s) {
  std::uint64_t runs = 0;
  const double begin = used_s();
  double passed = 0;
  do {
    way == Way::fork ? run_in_fork(load, contexts, first + runs)
                     : static_cast<void>(run_once(load, contexts, way, first + runs));
    ++runs;
    passed = used_s() - begin;
  } while (passed < span_s);
  return static_cast<double>(runs) / passed;
}

void print_row(const Load& load, Way way, std::vector<double> rates) {
  std::ranges::sort(rates);
  const double median = rates[rates.size() / 2];
  const double spread = std::max(rates.back() - median, median - rates.front()) / median;
  std::printf("%-48s %-24s %10.0f  +-%2.0f %%\n", load.name, way_names[static_cast<int>(way)], median,
              std::ceil(100 * spread));
  std::fflush(stdout);
}

void print_shape(const Load& load, const Contexts& contexts) {
  constexpr std::uint64_t runs = 200;
  std::uint64_t points = 0;
  std::uint64_t switches = 0;
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    const lab::Outcome outcome = run_once(load, contexts, Way::crew, seed);
    points += outcome.points;
    switches += outcome.switches.size();
  }
  std::printf("%-48s a run has %.0f points and %.0f switches on the average\n", load.name,
              static_cast<double>(points) / runs, static_cast<double>(switches) / runs);
}

void measure_way(const Load& load, const Contexts& contexts, Way way, double span_s) {
  std::vector<double> rates;
  for (int i = 0; i < repetitions; ++i) {
    rates.push_back(measure(load, contexts, way, 1 + static_cast<std::uint64_t>(i) * 100'000, span_s));
  }
  print_row(load, way, rates);
}

bool is_wanted(const Load& load, Way way, const std::string& wanted) {
  return (std::string(load.name) + ", " + way_names[static_cast<int>(way)]).find(wanted) != std::string::npos;
}

// Forks come first: the memory of what came before would be copied with each.
void measure_all(double span_s, const std::string& wanted) {
  std::printf("%-48s %-24s %10s  %s\n", "load", "way", "runs/CPU s", "spread");
  std::vector<Contexts> contexts;
  for (const Load& load : loads) {
    contexts.push_back(make_contexts(load));
    run_once(load, contexts.back(), Way::new_threads, 1);
  }
  for (const Way way : {Way::fork, Way::new_threads, Way::crew}) {
    for (std::size_t i = 0; i < loads.size(); ++i) {
      if (is_wanted(loads[i], way, wanted)) {
        measure_way(loads[i], contexts[i], way, span_s);
      }
    }
  }
  for (std::size_t i = 0; i < loads.size(); ++i) {
    print_shape(loads[i], contexts[i]);
    house_subject()->context_destroy(contexts[i].client);
    house_subject()->context_destroy(contexts[i].server);
  }
}

}  // namespace
}  // namespace rig::bench

// The first argument is how many seconds each repetition takes; the second, a text that a row must contain to be
// measured.
int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  rig::bench::measure_all(seconds, argc > 2 ? argv[2] : "");
}
