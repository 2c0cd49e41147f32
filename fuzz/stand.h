// A subject under all laws, on the only thread of a run in the lab: for targets that call its verbs themselves.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "harness/oracle/stream_check.h"
#include "harness/scenario/end.h"
#include "harness/scenario/kernel_watch.h"
#include "harness/scenario/library_watch.h"
#include "harness/scenario/loop_host.h"

namespace rig {

// app_verbs are what an app can ask of its end, besides a send.
inline constexpr std::array app_verbs{Verb::pause,          Verb::resume,     Verb::renegotiate, Verb::update_keys,
                                      Verb::close_graceful, Verb::half_close, Verb::close_abort, Verb::destroy};

// beyond_deadlines_us is virtual time beyond every deadline of a subject.
inline constexpr std::uint64_t beyond_deadlines_us = 60'000'000;

// stand_tls is TLS 1.3 where it is wanted and the house has it with that library, else 1.2.
TlsChoice stand_tls(const std::string& library, bool wants_13);

// StandPlan is what the connection of a Stand is to be like.
struct StandPlan {
  std::string library;
  TlsChoice tls = TlsChoice::tls12;
  bool fast_track = true;
  bool renegotiation = false;
  bool poison = true;  // LibraryWatch
};

// Stand holds a loop of the subject that TLSRIG_PLANT asks for (planted.h), or of the house, and one connection's ends,
// of which either or both may be used. Keys are pre-shared; contexts are made once in a process and kept. Thread: the
// one of the run.
class Stand final : public EndWorld {
 public:
  explicit Stand(const StandPlan& plan);
  ~Stand() override;
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  const rig_subject& subject() const override { return subject_; }
  Signal& signal() override { return signal_; }
  ViolationLog& log() override { return log_; }

  End& end(Side side) { return side == Side::client ? *client_ : *server_; }
  // incoming is the stream towards an end, for a peer that is no end.
  StreamCheck& incoming(Side side) { return side == Side::client ? down_ : up_; }

  // listen opens the listener of the server's end, whose port it answers; connect gives the client's end its socket.
  std::uint16_t listen();
  void connect(std::uint16_t port);

  // turn turns the loop once, for at most that long.
  void turn(std::uint64_t limit_us);

  // finish destroys what is left, turns until the loop is empty, gives it back, and calls found() for the first law
  // that was broken in all this time. To be called once, with the other sockets of the run closed.
  void finish();

 private:
  void echo_elsewhere(End&, Bytes) override {}
  End* next_on_side(const End&) override { return nullptr; }
  void stop_listening(const End&) override {}
  void open_another(const End&) override {}

  static void on_accepted(void* user, rig_socket* socket);
  rig_context* context(bool server);
  void make_empty();

  const StandPlan plan_;
  const std::size_t descriptors_before_;
  ViolationLog log_;
  const rig_subject& subject_;
  LibraryWatch library_watch_;
  KernelWatch kernel_watch_;
  Signal signal_;
  LoopHost host_;
  StreamCheck up_;
  StreamCheck down_;
  std::unique_ptr<End> client_;
  std::unique_ptr<End> server_;
  rig_listener* listener_ = nullptr;
};

}  // namespace rig
