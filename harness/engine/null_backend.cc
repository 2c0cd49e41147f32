#include "harness/engine/null_backend.h"

#include <algorithm>
#include <array>
#include <new>

namespace rig {
namespace {

std::unexpected<Error> unsupported_by_null(std::string_view detail) {
  return std::unexpected(Error(Code::unsupported, detail));
}

// NullEngine holds input back until it is read, and nothing else: output goes straight to the caller.
class NullEngine final : public TlsEngine {
 public:
  Status feed(ByteView cipher) override {
    RIG_TRY_STATUS(usable());
    if (input_ended_) {
      return std::unexpected(Error(Code::invalid_state, "bytes were fed after the end of the input"));
    }
    try {
      // What was read goes first: the buffer stays as small as the backlog and its storage is used again.
      if (used_ == input_.size()) {
        input_.clear();
        used_ = 0;
      } else if (used_ >= compact_bytes_min && used_ >= input_.size() / 2) {
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used_));
        used_ = 0;
      }
      input_.insert(input_.end(), cipher.begin(), cipher.end());
    } catch (const std::bad_alloc&) {
      failure_ = Error(Code::no_memory, "no memory to hold the bytes that arrived");
      return std::unexpected(*failure_);
    }
    return {};
  }

  void end_of_input() noexcept override { input_ended_ = true; }

  std::expected<Need, Error> handshake(CipherOut&) override {
    RIG_TRY_STATUS(usable());
    handshake_done_ = true;
    return Need::nothing;
  }

  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override {
    RIG_TRY_STATUS(usable_after_handshake());
    if (closed_) {
      return std::unexpected(Error(Code::invalid_state, "our direction was ended by close_notify"));
    }
    const std::size_t accepted = out.append(plain);
    write_pending_ = accepted < plain.size();
    return WriteStep{.accepted = accepted, .need = write_pending_ ? Need::room : Need::nothing};
  }

  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut&) override {
    RIG_TRY_STATUS(usable_after_handshake());
    if (plain.empty()) {
      return std::unexpected(Error(Code::invalid_argument, "a read needs room for at least one byte"));
    }
    const std::size_t bytes = std::min(plain.size(), input_.size() - used_);
    if (bytes == 0) {
      return input_ended_ ? ReadStep{.end = true} : ReadStep{.need = Need::input};
    }
    std::copy_n(input_.begin() + static_cast<std::ptrdiff_t>(used_), bytes, plain.begin());
    used_ += bytes;
    return ReadStep{.bytes = bytes};
  }

  bool readable() const noexcept override { return !failure_.has_value() && used_ < input_.size(); }

  std::expected<Need, Error> renegotiate(CipherOut&) override {
    return unsupported_by_null("a connection without TLS has no handshake to repeat");
  }

  std::expected<Need, Error> update_keys(CipherOut&) override {
    return unsupported_by_null("a connection without TLS has no keys to update");
  }

  std::expected<Need, Error> close_notify(CipherOut&) override {
    RIG_TRY_STATUS(usable_after_handshake());
    if (write_pending_) {
      return std::unexpected(Error(Code::invalid_state, "a write is only partly accepted; finish it first"));
    }
    closed_ = true;
    return Need::nothing;
  }

  Facts facts() const override {
    Facts facts;
    facts.library = "null";
    facts.handshakes = handshake_done_ ? 1 : 0;
    return facts;
  }

  std::expected<Bytes, Error> session() override {
    return unsupported_by_null("a connection without TLS has no session to resume");
  }

 private:
  // compact_bytes_min is how much must have been read before the rest is moved to the front: moving less often than
  // every few records keeps the cost per byte constant.
  static constexpr std::size_t compact_bytes_min = 65536;

  Status usable() const {
    if (failure_.has_value()) {
      return std::unexpected(*failure_);
    }
    return {};
  }

  Status usable_after_handshake() const {
    RIG_TRY_STATUS(usable());
    if (!handshake_done_) {
      return std::unexpected(Error(Code::invalid_state, "the handshake is not done"));
    }
    return {};
  }

  Bytes input_;
  std::size_t used_ = 0;  // bytes of input_ that were read
  std::optional<Error> failure_;
  bool input_ended_ = false;
  bool handshake_done_ = false;
  bool write_pending_ = false;
  bool closed_ = false;
};

class NullContext final : public Context {
 public:
  std::expected<std::unique_ptr<TlsEngine>, Error> make_engine(const EngineConfig& config) const override {
    if (!config.resume.empty()) {
      return std::unexpected(Error(Code::invalid_argument, "a connection without TLS cannot resume a session"));
    }
    std::unique_ptr<TlsEngine> engine(new (std::nothrow) NullEngine);
    if (engine == nullptr) {
      return std::unexpected(Error(Code::no_memory, "no memory for an engine"));
    }
    return engine;
  }
};

class NullBackend final : public Backend {
 public:
  std::string_view name() const noexcept override { return "null"; }
  std::string runtime_version() const override { return "null (no TLS)"; }
  const Capabilities& capabilities() const noexcept override {
    static constexpr Capabilities none;
    return none;
  }
  std::expected<std::shared_ptr<const Context>, Error> make_context(const ContextConfig&) override {
    // Credentials, versions and checks ask for security that is not here; they are ignored, not refused, so that one
    // scenario runs over TLS and over plain TCP with the same settings.
    try {
      return std::make_shared<NullContext>();
    } catch (const std::bad_alloc&) {
      return std::unexpected(Error(Code::no_memory, "no memory for a context"));
    }
  }
};

}  // namespace

Backend& null_backend() {
  static NullBackend backend;
  return backend;
}

}  // namespace rig
