// How a Run ends: in order, or after a stall as far as it can be ended.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "harness/scenario/run.h"

namespace rig {
namespace {

constexpr int quiet_turns_max = 400;

}  // namespace

void Run::close_every_end(Verb how) {
  each_end([this, how](End& end) {
    end.host().post([this, &end, how] {
      if (end.has_socket() && !end.closed()) {
        end.perform(how);
      } else if (!end.has_socket() && end.plan().side == Side::server) {
        connections_[end.plan().connection].missed_close = true;
      }
    });
  });
}

// A server that is accepted after all were to be closed ends as its client has ended, but for one whose app has paused,
// which does not hear of it, and one whose app has reactions of its own to that.
void Run::close_late_arrivals() {
  for (Connection& connection : connections_) {
    End* const server = connection.server.get();
    if (server != nullptr && server->has_socket() && (server->paused() || server->reacts_to_end()) &&
        connection.missed_close.exchange(false)) {
      server->host().post([server] { server->perform(Verb::close_graceful); });
    }
  }
}

bool Run::visitors_finished() {
  const MutexLock lock(visitors_mutex_);
  return std::ranges::all_of(visitors_, [](const auto& visitor) { return visitor->finished(); });
}

bool Run::wait_for_closed() {
  return signal_.wait_until(
      [this] {
        close_late_arrivals();
        bool all = true;
        each_end([&all](End& end) { all = all && (!end.has_socket() || end.closed()); });
        return all && visitors_finished();
      },
      stall_limit_);
}

// A plain TCP client is connected before it is accepted. Where the scenario closes listeners it may never be.
bool Run::accepted() const {
  return std::ranges::any_of(scenario_.reactions, [](const Reaction& r) { return r.verb == Verb::stop_listening; }) ||
         std::ranges::all_of(connections_, [](const Connection& connection) {
           return !connection.client || !connection.server || connection.server->has_socket() ||
                  !connection.client->connected() || connection.client->closed();
         });
}

bool Run::close() {
  for (Connection& connection : connections_) {
    if (connection.relay) {
      const auto is_over = [](const std::unique_ptr<End>& end) { return end == nullptr || end->closed(); };
      connection.silenced = connection.relay->ordered(RelayOrder::stall) &&
                            !connection.relay->ordered(RelayOrder::flow) && connection.relay->moved_bytes() == 0 &&
                            is_over(connection.client) && is_over(connection.server);
      connection.relay->order(RelayOrder::flow);
    }
  }
  if (!signal_.wait_until([this] { return accepted(); }, stall_limit_)) {
    return false;
  }
  close_asked_ = true;
  close_every_end(Verb::close_graceful);
  return wait_for_closed();
}

// Answers whether the loop came to be empty; a loop that does not turn any more is not asked.
bool Run::loop_quiet(LoopHost& host) {
  const auto counts = std::make_shared<rig_loop_counts>();
  for (int turn = 0; turn < quiet_turns_max; ++turn) {
    if (!host.run([this, &host, counts] { subject_.loop_counts(host.loop(), counts.get()); }, stall_limit_)) {
      return false;
    }
    if (counts->listeners + counts->connecting + counts->handshaking + counts->open + counts->closing +
            counts->undestroyed + counts->registrations ==
        0) {
      return true;
    }
  }
  log_.report(Law::c6_quiet, host.name(),
              "at quiet, with every socket closed and destroyed, the loop still holds " +
                  std::to_string(counts->listeners) + " listeners, " +
                  std::to_string(counts->connecting + counts->handshaking + counts->open + counts->closing) +
                  " live and " + std::to_string(counts->undestroyed) + " undestroyed sockets, and " +
                  std::to_string(counts->registrations) + " registrations");
  return false;
}

bool Run::give_back() {
  for (Connection& connection : connections_) {
    connection.plaintext_client.reset();
    for (End* end : {connection.client.get(), connection.server.get()}) {
      const auto give = [this, end] {
        end->destroy();
        if (end->plan().side == Side::server) {
          stop_listening(*end);
        }
      };
      if (end != nullptr && !end->host().run(give, stall_limit_)) {
        return false;
      }
    }
  }
  // A server that was accepted behind a client that had gone already has only now come to its end, and to what its app
  // opens at that.
  const bool opens =
      std::ranges::any_of(scenario_.reactions, [](const Reaction& r) { return r.verb == Verb::open_another; });
  if (opens && !wait_for_closed()) {
    return false;
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  if (echo_worker_) {
    echo_worker_->stop();
    if (!signal_.wait_until([this] { return echo_worker_->finished(); }, stall_limit_)) {
      return false;
    }
    echo_worker_.reset();
  }
  bool quiet = true;
  each_host([this, &quiet](LoopHost& host) { quiet = loop_quiet(host) && quiet; });
  bool stuck = false;
  each_host([&stuck](LoopHost& host) { stuck = stuck || host.behind(); });
  if (stuck) {
    return false;
  }
  each_host([](LoopHost& host) { host.stop(); });
  if (!quiet) {
    return true;  // what a loop still holds cannot be given back with it
  }
  each_host([](LoopHost& host) { host.destroy_loop(); });
  client_contexts_.push_back(std::exchange(server_context_, nullptr));
  for (rig_context* context : client_contexts_) {
    if (context != nullptr) {
      subject_.context_destroy(context);
    }
  }
  given_back_ = true;
  return true;
}

bool Run::give_back_unstarted(const Error& refused) {
  judge_lack("the setting-up", refused, log_);
  std::erase_if(client_hosts_, [](const auto& host) { return host->loop() == nullptr; });
  if (server_host_ && server_host_->loop() == nullptr) {
    server_host_.reset();
  }
  each_host([](LoopHost& host) { host.start(); });
  return give_back();
}

// A stall is no proof of what is wrong, but a close is: an op that was only stuck completes with it, one whose
// completion was lost does not, and neither does a `closed` that never comes.
bool Run::wind_up() {
  signal_.stop();
  if (!signal_.wait_until([this] { return scripts_done(); }, stall_limit_)) {
    return false;
  }
  judge_unprovoked_ends();
  if (close_asked_ || !close()) {
    close_every_end(Verb::close_abort);
    wait_for_closed();
  }
  each_end([](End& end) {
    if (end.has_socket() && !end.host().behind()) {
      end.ledger().quiet();
    }
  });
  finish_streams(false);
  return give_back();
}

}  // namespace rig
