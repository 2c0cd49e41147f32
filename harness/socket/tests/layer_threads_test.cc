// Several threads at one socket while the loop turns: every op exactly once, and callbacks on the loop's thread only.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <tuple>

#include "harness/socket/tests/layer_kernel.h"

namespace rig {
namespace {

using namespace test;

constexpr std::size_t senders = 3;
constexpr std::size_t ops_per_sender = 300;
constexpr std::size_t ops_count = senders * ops_per_sender;

// Tally counts what became of each op. Recorder may not be used: it is not for threads.
class Tally final : public SocketEvents {
 public:
  void on_connected(const Error* error) override {
    EXPECT_EQ(error, nullptr);
    on_loop();
    ++connected;
  }
  void on_data(ByteView bytes) override {
    on_loop();
    received += bytes.size();
  }
  void on_ended() override { on_loop(); }
  void on_sent(const Completion& completion) override {
    on_loop();
    ++(completion.error.has_value() ? failed : sent)[completion.token];
  }
  void on_writable() override { on_loop(); }
  void on_closed(const Error*) override {
    on_loop();
    ++closed;
  }

  std::atomic<int> connected = 0;
  std::atomic<int> closed = 0;
  std::atomic<std::size_t> received = 0;
  std::array<std::atomic<int>, ops_count> sent{};
  std::array<std::atomic<int>, ops_count> failed{};
  std::array<std::atomic<int>, ops_count> completed{};  // by send()
  std::array<std::atomic<int>, ops_count> pending{};
  std::array<std::atomic<int>, ops_count> refused{};

 private:
  void on_loop() const { EXPECT_EQ(std::this_thread::get_id(), thread_); }
  const std::thread::id thread_ = std::this_thread::get_id();
};

// One cell of each backend; fast track on and off.
class layer_threads : public testing::TestWithParam<std::tuple<Backend*, bool>> {
 protected:
  void SetUp() override {
    const auto& [backend, fast_track] = GetParam();
    const TlsVersion version = !backend->capabilities().psk    ? TlsVersion::none
                               : backend->capabilities().tls13 ? TlsVersion::tls13
                                                               : TlsVersion::tls12;
    kernel_ = std::make_unique<Kernel>(Wiring{.backend = backend, .version = version, .fast_track = fast_track});
    client_ = *TlsSocket::connect(kernel_->loop, *kernel_->client_context, {.host = "localhost", .resume = {}},
                                  kernel_->where, {.limits = {.ops_max = 64}}, tally_);
    kernel_->turn_until([&] { return tally_.connected == 1 && !kernel_->servers.empty(); });
  }
  void TearDown() override {
    client_->destroy();
    kernel_->turn_until([&] { return tally_.closed == 1; });
  }

  // send_all is one sender: a full queue makes it come again, anything else ends the op.
  void send_all(std::size_t sender) {
    ready_++;
    while (ready_ < senders) {
    }
    for (std::size_t i = 0; i < ops_per_sender; ++i) {
      const Token token = sender * ops_per_sender + i;
      const std::string text(bytes_of(token), 's');
      for (;;) {
        const auto outcome = client_->send(token, as_bytes(text), token % 5 == 0 && i + 1 < ops_per_sender);
        if (outcome.has_value()) {
          ++(*outcome == SendOutcome::completed ? tally_.completed : tally_.pending)[token];
          break;
        }
        if (outcome.error().code() != Code::would_block) {
          EXPECT_EQ(outcome.error().code(), Code::closed);
          ++tally_.refused[token];
          break;
        }
        std::this_thread::yield();
      }
    }
    ++done_;
    kernel_->loop->wake();
  }
  static std::size_t bytes_of(Token token) { return token % 7 == 0 ? 0 : token % 11 * 100; }

  void start() {
    for (std::size_t sender = 0; sender < senders; ++sender) {
      threads_.emplace_back([this, sender] { send_all(sender); });
    }
  }
  void join() {
    kernel_->turn_until([&] { return done_ == senders; });
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  // expect_each_op_once says how many ops were accepted.
  std::size_t expect_each_op_once() const {
    std::size_t accepted = 0;
    for (std::size_t i = 0; i < ops_count; ++i) {
      EXPECT_EQ(tally_.completed[i] + tally_.pending[i] + tally_.refused[i], 1) << i;
      EXPECT_EQ(tally_.sent[i] + tally_.failed[i], tally_.pending[i].load()) << i;
      accepted += tally_.refused[i] == 0 ? 1 : 0;
    }
    return accepted;
  }

  Tally tally_;
  std::unique_ptr<Kernel> kernel_;
  std::shared_ptr<TlsSocket> client_;
  std::vector<std::thread> threads_;
  std::atomic<std::size_t> ready_ = 0;
  std::atomic<std::size_t> done_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, layer_threads,
                         testing::Combine(testing::ValuesIn(backends().begin(), backends().end()), testing::Bool()),
                         [](const auto& at) {
                           return std::string(std::get<0>(at.param)->name()) +
                                  (std::get<1>(at.param) ? "_fast_on" : "_fast_off");
                         });

TEST_P(layer_threads, every_op_of_several_senders_arrives_and_completes_once) {
  start();
  join();
  KernelEnd& server = *kernel_->servers.back();
  std::size_t bytes = 0;
  for (Token token = 0; token < ops_count; ++token) {
    bytes += bytes_of(token);
  }
  kernel_->turn_until([&] { return server.events.received.size() >= bytes && client_->info().ops_pending == 0; });
  kernel_->turn_without_waiting();
  EXPECT_EQ(server.events.received.size(), bytes);
  EXPECT_EQ(expect_each_op_once(), ops_count);
  for (std::size_t i = 0; i < ops_count; ++i) {
    EXPECT_EQ(tally_.failed[i], 0) << i;
  }
}

TEST_P(layer_threads, an_end_by_another_thread_settles_every_op_once) {
  for (const CloseMode mode : {CloseMode::graceful, CloseMode::abort}) {
    if (mode == CloseMode::abort) {  // a second connection
      TearDown();
      kernel_.reset();
      std::destroy_at(&tally_);
      std::construct_at(&tally_);
      threads_.clear();
      ready_ = done_ = 0;
      SetUp();
    }
    start();
    std::thread closer([&] {
      while (tally_.completed[10] + tally_.pending[10] == 0) {  // in the middle of the first sender's ops
      }
      client_->close(mode);
    });
    join();
    kernel_->turn_until([&] { return tally_.closed == 1; });
    closer.join();
    EXPECT_LE(expect_each_op_once(), ops_count);
    EXPECT_EQ(client_->info().ops_pending, 0U);
    if (mode == CloseMode::graceful) {
      for (std::size_t i = 0; i < ops_count; ++i) {
        EXPECT_EQ(tally_.failed[i], 0) << i;
      }
    }
  }
}

TEST_P(layer_threads, pause_and_resume_by_another_thread_lose_nothing) {
  KernelEnd& server = *kernel_->servers.back();
  constexpr Token count = 200;
  std::atomic<bool> stop = false;
  std::thread pauser([&] {
    while (!stop) {
      EXPECT_TRUE(client_->pause());
      EXPECT_TRUE(client_->resume());
      static_cast<void>(client_->info());
    }
  });
  for (Token token = 0; token < count; ++token) {
    EXPECT_TRUE(server.send(token, std::string(500, 'p')));
    kernel_->turn_without_waiting(1);
  }
  kernel_->turn_until([&] { return tally_.received == count * 500; });
  stop = true;
  pauser.join();
  EXPECT_EQ(tally_.received, count * 500);
}

}  // namespace
}  // namespace rig
