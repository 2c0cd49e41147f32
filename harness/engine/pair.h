// EnginePair: two engines joined by two pipes in memory, driven one verb at a time.
//
// It is the smallest world in which two backends meet: no socket, no thread, no clock. The conformance kit, the engine
// fuzzers and the benchmarks drive engines through it. It behaves as a layer should: it calls the verbs in the order of
// engine.h, asks readable() before it stops reading, and comes again with the same bytes after a partial write.
//
// What is sent is position-coded: the byte at each position is fixed by the direction and the position, and every byte
// that arrives is compared with it. A lost, doubled or reordered record shows at its first byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "harness/base/bytes.h"
#include "harness/base/error.h"
#include "harness/base/prng.h"
#include "harness/engine/engine.h"

namespace rig {

// Side is one end of a pair.
enum class Side : std::uint8_t { client, server };

// other is the opposite side.
constexpr Side other(Side side) noexcept {
  return side == Side::client ? Side::server : Side::client;
}

// position_coded views the bytes that `from` sends from `position` on: as many as asked, at most position_coded_max.
// Owns: static storage.
ByteView position_coded(Side from, std::uint64_t position, std::size_t bytes) noexcept;
inline constexpr std::size_t position_coded_max = 1 << 20;

// PairKnobs say how cramped the world is. Units: bytes, steps. No size may be 0.
struct PairKnobs {
  std::size_t out_bytes_max = 65536;             // capacity of the CipherOut of each call
  std::size_t feed_bytes_max = 65536;            // ciphertext handed over per step
  std::size_t write_bytes_max = 65536;           // plaintext offered per write; at most position_coded_max
  std::size_t read_bytes_max = 65536;            // plaintext taken per read
  std::size_t pipe_bytes_max = ~std::size_t{0};  // ciphertext under way in one direction; a full pipe gives no room
  bool fin_after_close = false;                  // end the stream behind close_notify, as an engine without TLS needs
  bool longer_retries = false;                   // offer more than the rest after a partial write
  std::uint64_t seed = 0;                        // order of the sides; 0: they take turns
  std::uint64_t steps_max = 50'000'000;          // of one run()
};

// PairOutcome is how a run ended, as a value.
struct PairOutcome {
  enum class Kind : std::uint8_t {
    done,       // the goal was reached
    failed,     // an engine failed (see EnginePair::failure), and the other had its chance to hear of it
    stalled,    // neither side can go on, and neither has failed
    corrupt,    // a byte arrived that was not sent at that position
    exhausted,  // steps_max steps did not suffice
  };
  Kind kind = Kind::done;
  std::string detail;  // one sentence for a person; empty if done

  bool done() const noexcept { return kind == Kind::done; }
};

// PairEnd is what the pair knows of one side.
struct PairEnd {
  bool handshake_done = false;
  std::uint64_t to_write = 0;  // plaintext not yet accepted by the engine
  std::uint64_t written = 0;   // plaintext accepted
  std::uint64_t received = 0;  // plaintext delivered
  bool clean_end = false;      // read() answered a clean end
  bool close_sent = false;     // close_notify() answered Need::nothing
  Need last_need = Need::nothing;
  std::optional<Error> failure;  // the engine's fatal error, from a verb that the pair called
  std::optional<Error> refusal;  // why a renegotiation or key update that was asked for did not start
};

// EnginePair owns both engines and the bytes between them.
// Thread: not thread-safe. Errors: an engine's are kept per side (failure), never thrown or lost.
// After warm-up a step allocates and copies nothing of its own (without a tamper).
class EnginePair {
 public:
  // Tamper sees each run of ciphertext as it enters the pipe and may change, cut, lengthen or empty it. `offset` is
  // the position of its first byte in the untampered stream of `from`.
  using Tamper = std::function<void(Side from, std::uint64_t offset, Bytes& cipher)>;

  EnginePair(std::unique_ptr<TlsEngine> client, std::unique_ptr<TlsEngine> server, const PairKnobs& knobs = {});

  TlsEngine& engine(Side side) noexcept { return *peer(side).engine; }
  const PairEnd& end(Side side) const noexcept { return peer(side).end; }
  const std::optional<Error>& failure(Side side) const noexcept { return peer(side).end.failure; }
  PairKnobs& knobs() noexcept { return knobs_; }

  // tamper installs a hook on both directions; an empty function takes it away.
  void tamper(Tamper hook) { tamper_ = std::move(hook); }

  // hold stops the direction from `from` (its bytes stay under way) or lets it go on.
  void hold(Side from, bool held) noexcept { peer(other(from)).held = held; }

  // inject puts bytes of the caller's under way from `from`, untouched by the tamper.
  void inject(Side from, ByteView cipher);

  // cut ends the stream of `from` behind what is under way: the other side gets end_of_input.
  void cut(Side from) noexcept { peer(other(from)).fin = true; }

  // in_flight is how much ciphertext from `from` was not fed yet. cipher_total is how much `from` has produced in all.
  std::size_t in_flight(Side from) const noexcept { return peer(other(from)).inbox.size(); }
  std::uint64_t cipher_total(Side from) const noexcept { return peer(from).cipher_total; }

  // call runs one verb of `side` with a CipherOut of the knobs' capacity and puts what it produced under way.
  template <typename Verb>
  auto call(Side side, Verb&& verb) {
    CipherOut out(out_storage(side));
    auto answer = verb(*peer(side).engine, out);
    put_under_way(side, out.size());
    return answer;
  }

  // step lets `side` take in ciphertext once and call each verb that is due at most once. It returns whether anything
  // moved.
  bool step(Side side);

  // send adds to what `from` has to write; renegotiate, update_keys and close say what `from` does once it is not
  // within a partial write (close: once all is written). All of them only ask; step() and run() act.
  void send(Side from, std::uint64_t bytes) noexcept { peer(from).end.to_write += bytes; }
  void renegotiate(Side from) noexcept { peer(from).action = Action::renegotiate; }
  void update_keys(Side from) noexcept { peer(from).action = Action::update_keys; }
  void close(Side from) noexcept { peer(from).close_wanted = true; }

  // run steps both sides until `goal` holds. It goes on after a failure of one side, whose stream is then cut, so that
  // the other side hears of it.
  PairOutcome run(const std::function<bool()>& goal);

  // run_handshake runs until the handshake is done on both sides.
  PairOutcome run_handshake();
  // run_traffic runs until all that was asked to be sent, in both directions, has arrived.
  PairOutcome run_traffic();
  // run_close ends both directions and runs until both sides have seen the clean end of the other.
  PairOutcome run_close();

 private:
  enum class Action : std::uint8_t { none, renegotiate, update_keys };

  // Pipe is a queue of bytes in one block, written in place.
  class Pipe {
   public:
    std::size_t size() const noexcept { return tail_ - head_; }
    ByteView front(std::size_t bytes_max) const noexcept;
    void pop(std::size_t bytes) noexcept;
    MutableBytes back(std::size_t room);
    void push(std::size_t bytes) noexcept { tail_ += bytes; }
    void unpush(std::size_t bytes) noexcept { tail_ -= bytes; }

   private:
    std::unique_ptr<std::uint8_t[]> block_;
    std::size_t capacity_ = 0;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
  };

  struct Peer {
    std::unique_ptr<TlsEngine> engine;
    PairEnd end;
    Pipe inbox;                      // ciphertext under way to this side
    std::uint64_t cipher_total = 0;  // ciphertext produced by this side
    std::size_t rest = 0;            // what must at least be offered again after a partial write
    Action action = Action::none;
    bool close_wanted = false;
    bool held = false;
    bool fin = false;            // the other side's stream ends behind the inbox
    bool fin_delivered = false;  // end_of_input was called
    bool handshake_due = true;
    bool read_due = false;
    bool write_blocked = false;  // the engine cannot write until it has read
  };

  Peer& peer(Side side) noexcept { return peers_[static_cast<std::size_t>(side)]; }
  const Peer& peer(Side side) const noexcept { return peers_[static_cast<std::size_t>(side)]; }
  MutableBytes out_storage(Side from);
  void put_under_way(Side from, std::size_t bytes);
  void fail(Side side, const Error& error);
  bool step_input(Side side);
  bool step_handshake(Side side);
  bool step_read(Side side);
  bool step_action(Side side);
  bool step_write(Side side);
  bool step_close(Side side);
  std::string stall_detail() const;
  std::string failure_detail() const;

  Peer peers_[2];
  PairKnobs knobs_;
  Prng prng_;
  Tamper tamper_;
  Bytes read_buffer_;
  std::optional<std::string> corrupt_;
};

}  // namespace rig
