// Run: one scenario in the world, from opening its loops to giving everything back. Used by runner.cc only.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness/lab/lab.h"
#include "harness/oracle/outcome_check.h"
#include "harness/oracle/violation.h"
#include "harness/scenario/echo_worker.h"
#include "harness/scenario/end.h"
#include "harness/scenario/kernel_watch.h"
#include "harness/scenario/library_watch.h"
#include "harness/scenario/loop_host.h"
#include "harness/scenario/runner.h"
#include "harness/scenario/script.h"
#include "harness/scenario/signal.h"
#include "harness/scenario/visitor.h"
#include "harness/scenario/wire_peers.h"

namespace rig {

// Connection is both sides of one connection, and what stands between them.
struct Connection {
  static constexpr std::int64_t never_cut = -1;

  std::unique_ptr<StreamCheck> up;    // client to server
  std::unique_ptr<StreamCheck> down;  // server to client
  std::unique_ptr<End> client;        // null: a raw peer plays it
  std::unique_ptr<End> server;
  rig_listener* listener = nullptr;  // the server's loop only
  std::uint16_t port = 0;
  std::unique_ptr<Relay> relay;
  bool silenced = false;  // the relay let nothing through, nor was told to, until both sides were closed
  std::atomic<bool> was_cut{false};
  std::atomic<std::int64_t> fault_cut_ns{never_cut};  // by a listed fault, in virtual time
  std::atomic<bool> missed_close{false};              // the server was to be closed before it was accepted
  bool failed_in_vain = false;                        // X1 has said so; what did not arrive follows from that
  std::unique_ptr<PlaintextClient> plaintext_client;
};

// Run owns everything of a run. Its verbs are called in this order, on one thread: open, start, wait_for_scripts,
// wait_for_delivery, close, give_back, audit. If one of the waits stalls, wind_up() and audit_stalled() take their
// place. A Run that has not given_back() everything must be kept, and never be destroyed: a thread may be stuck inside
// the subject, or the subject may still hold what it was given.
class Run final : public EndWorld, public ScriptWorld, public lab::ResetObserver {
 public:
  // Outcomes are the ways in which `connected` or `closed` may come; no code is a success.
  using Outcomes = std::vector<std::optional<Code>>;

  Run(const Scenario& scenario, const rig_subject& subject, const RunOptions& options);
  ~Run() override;

  // open makes loops, contexts, listeners and peers. Errors: what the subject or the system refuses.
  Status open();
  void start();

  // The waits answer false if nothing at all has happened for the stall limit.
  bool wait_for_scripts();
  bool wait_for_delivery();
  bool close();
  bool give_back();

  // wind_up ends what still can be ended: the steps stop, sockets are closed, in the orderly way and then by abort, and
  // given back. The laws that can be asked of a close are asked. False: threads are stuck.
  bool wind_up();
  bool given_back() const { return given_back_; }

  // give_back_unstarted gives back what a failed open() has made.
  bool give_back_unstarted(const Error& refused);

  // audit asks the laws that are asked at the end, and adds the counters and what was used to `verdict`; audit_stalled
  // adds what the laws have reported, the counters and what was used.
  void audit(Verdict& verdict);
  void audit_stalled(Verdict& verdict);
  // stall_report says who waits for what: the steps, and of each end that is not closed its oldest op, on whom that
  // waits as far as the doors tell, and what each door saw last of it. Of more than stalled_ends_max ends the number is
  // said. It waits for no lock that a thread of the run may hold, so that a run that was stopped can be asked. Thread:
  // any, while no other one of the run's runs on the rig's side.
  std::string stall_report() const;
  static constexpr std::size_t stalled_ends_max = 8;

  // EndWorld and ScriptWorld.
  const rig_subject& subject() const override { return subject_; }
  Signal& signal() override { return signal_; }
  ViolationLog& log() override { return log_; }
  void echo_elsewhere(End& end, Bytes bytes) override;
  End* next_on_side(const End& end) override;
  void stop_listening(const End& end) override;
  void open_another(const End& end) override;
  void connect(End& end) override;
  End* peer_of(const End& end) const override;
  Relay* relay_of(const End& end) override;
  void arrive(std::uint64_t label) override;
  bool aligned(std::uint64_t label) override;

  // lab::ResetObserver.
  void cut(std::uint32_t connection, std::optional<std::int64_t> fault_ns) noexcept override;

 private:
  struct Alignment {
    std::uint64_t needed = 0;
    std::atomic<std::uint64_t> arrived{0};
  };

  Status open_loops();
  Status open_contexts();
  Status open_connection(std::uint32_t index);
  Status open_listener(Connection& connection);
  bool is_refused(std::uint32_t index) const;
  void make_ends(std::uint32_t index);
  void make_scripts();
  EndPlan plan(Side side, std::uint32_t index) const;
  std::expected<rig_context*, Error> make_context(Side side);
  rig_socket_config socket_config(Side side) const;
  std::uint32_t capabilities(Side side) const;
  template <class Visit>
  void each_end(Visit visit) const;
  template <class Visit>
  void each_host(Visit visit) const;
  bool scripts_done() const;
  bool delivered() const;
  bool accepted() const;
  void close_every_end(Verb how);
  bool wait_for_closed();
  void close_late_arrivals();
  bool visitors_finished();
  bool loop_quiet(LoopHost& host);
  std::string stall_of(const End& end) const;
  std::string whom_it_waits_for(const End& end, const std::optional<KernelWatch::LastSeen>& seen, bool sends) const;
  void finish_streams(bool all_delivered);
  void announce(std::uint32_t index, std::uint16_t listener_port);
  void finish_wires();
  void judge_wires(Verdict& verdict);
  bool asks_wire() const;
  void judge_deeds();
  void judge_lacks();
  void judge_deadlines();
  bool has_run_out_of_time(const End& end) const;
  void judge_unprovoked_ends();
  bool is_unprovoked(const Connection& connection, const End& end, const Error& told) const;
  bool is_cut_by_peer(const Connection& connection, const End& end) const;
  void judge_cuts();
  Outcomes allowed(const End& end, Event event) const;
  bool is_allowed_end(const End& end, Code code) const;
  // is_struck says that a listed fault may have failed a call of that side.
  bool is_struck(const End& end) const;
  void judge_sent();
  void judge_resources();
  std::optional<Deed> deed_to(const Connection& connection, const End& end) const;
  std::optional<Deed> deed_of_relay(const Connection& connection, const End& end) const;
  std::optional<Deed> deed_of_peer(const Connection& connection, const End& end) const;
  void note_violations(Verdict& verdict) const;
  void audit_outcomes(Verdict& verdict) const;
  void note_lacking(Verdict& verdict) const;
  void audit_claims(Verdict& verdict) const;
  void note_used(Verdict& verdict) const;
  void count(Verdict& verdict) const;

  const Scenario scenario_;  // a copy: an abandoned Run outlives its caller
  const rig_subject& subject_;
  const std::chrono::microseconds stall_limit_;
  Signal signal_;
  ViolationLog log_;
  std::unique_ptr<LibraryWatch> library_watch_;  // null: its laws are not asked
  std::unique_ptr<KernelWatch> kernel_watch_;    // likewise
  std::unique_ptr<LoopHost> server_host_;
  std::vector<std::unique_ptr<LoopHost>> client_hosts_;
  rig_context* server_context_ = nullptr;
  std::vector<rig_context*> client_contexts_;
  std::unique_ptr<PlaintextServer> plaintext_server_;
  std::unique_ptr<ClosedPort> closed_port_;
  std::unique_ptr<DeafPort> deaf_port_;
  std::vector<Connection> connections_;
  std::map<std::uint64_t, Alignment> alignments_;
  std::vector<std::unique_ptr<Script>> scripts_;
  std::vector<std::thread> threads_;
  std::unique_ptr<EchoWorker> echo_worker_;
  Mutex visitors_mutex_;
  std::vector<std::unique_ptr<Visitor>> visitors_ RIG_GUARDED_BY(visitors_mutex_);
  std::size_t descriptors_before_ = 0;
  bool close_asked_ = false;
  bool given_back_ = false;
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

// each_host visits every loop.
template <class Visit>
void Run::each_host(Visit visit) const {
  for (const auto& host : client_hosts_) {
    visit(*host);
  }
  if (server_host_) {
    visit(*server_host_);
  }
}

}  // namespace rig
