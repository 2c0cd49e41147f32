// Run: one scenario in the world, from opening its loops to giving everything back. Used by runner.cc only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness/oracle/violation.h"
#include "harness/scenario/end.h"
#include "harness/scenario/loop_host.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/script.h"
#include "harness/scenario/signal.h"
#include "harness/scenario/wire_peers.h"

namespace rig {

// Connection is both sides of one connection, and what stands between them.
struct Connection {
  std::unique_ptr<StreamCheck> up;    // client to server
  std::unique_ptr<StreamCheck> down;  // server to client
  std::unique_ptr<End> client;        // null: a raw peer plays it
  std::unique_ptr<End> server;
  rig_listener* listener = nullptr;  // the server's loop only
  std::uint16_t port = 0;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<PlaintextClient> plaintext_client;
};

// Run owns everything of a run. Its verbs are called in this order, on one thread: open, start, wait_for_scripts,
// wait_for_delivery, close, give_back, audit. If one of the waits stalls, stop_after_stall() takes their place: what
// still can be ended is ended, and what cannot (a thread that is stuck inside the subject) is abandoned together with
// the Run, which then must never be destroyed.
class Run final : public EndWorld, public ScriptWorld {
 public:
  Run(const Scenario& scenario, const rig_subject& subject, std::int64_t stall_limit_us);
  ~Run() override;

  // open makes loops, contexts, listeners and peers. Errors: what the subject or the system refuses.
  Status open();
  void start();

  // The waits answer false if nothing at all has happened for the stall limit.
  bool wait_for_scripts();
  bool wait_for_delivery();
  bool close();
  bool give_back();

  // stop_after_stall ends what it can within `patience_us`; false: threads are stuck and the Run must be abandoned.
  bool stop_after_stall(std::int64_t patience_us);

  // audit asks the laws that are asked at the end, and adds the counters and what was used to `verdict`.
  void audit(Verdict& verdict);
  // stall_report says who waits for what.
  std::string stall_report() const;

  // EndWorld and ScriptWorld.
  const rig_subject& subject() const override { return subject_; }
  Signal& signal() override { return signal_; }
  ViolationLog& log() override { return log_; }
  void echo_elsewhere(End& end, Bytes bytes) override;
  End* next_on_side(const End& end) override;
  void stop_listening(const End& end) override;
  void connect(End& end) override;
  End* peer_of(const End& end) override;
  Relay* relay_of(const End& end) override;
  void arrive(std::uint64_t label) override;
  bool aligned(std::uint64_t label) override;

 private:
  // EchoWorker sends back from a thread of its own what servers received.
  struct EchoWorker;
  struct Alignment {
    std::uint64_t needed = 0;
    std::atomic<std::uint64_t> arrived{0};
  };

  Status open_loops();
  Status open_contexts();
  Status open_connection(std::uint32_t index);
  Status open_listener(Connection& connection);
  void make_ends(std::uint32_t index);
  void make_scripts();
  EndPlan plan(Side side, std::uint32_t index) const;
  std::expected<rig_context*, Error> make_context(Side side);
  rig_socket_config socket_config(Side side) const;
  std::uint32_t capabilities(Side side) const;
  template <class Holds>
  bool wait_until(Holds holds);
  template <class Visit>
  void each_end(Visit visit) const;
  bool delivered() const;
  bool loops_quiet();
  void audit_outcomes(Verdict& verdict) const;
  void audit_claims(Verdict& verdict) const;
  void count(Verdict& verdict) const;

  const Scenario& scenario_;
  const rig_subject& subject_;
  const std::int64_t stall_limit_us_;
  Signal signal_;
  ViolationLog log_;
  std::unique_ptr<LoopHost> server_host_;
  std::vector<std::unique_ptr<LoopHost>> client_hosts_;
  rig_context* server_context_ = nullptr;
  std::vector<rig_context*> client_contexts_;
  std::unique_ptr<PlaintextServer> plaintext_server_;
  std::vector<Connection> connections_;
  std::map<std::uint64_t, Alignment> alignments_;
  std::vector<std::unique_ptr<Script>> scripts_;
  std::vector<std::thread> threads_;
  std::unique_ptr<EchoWorker> echo_worker_;
};

// each_end visits every end that the subject plays.
template <class Visit>
void Run::each_end(Visit visit) const {
  for (const Connection& connection : connections_) {
    for (End* end : {connection.client.get(), connection.server.get()}) {
      if (end != nullptr) {
        visit(*end);
      }
    }
  }
}

}  // namespace rig
