// ForwardingEngine: an engine around another, for those that change one thing.
#pragma once

#include <expected>
#include <memory>
#include <utility>

#include "harness/engine/engine.h"

namespace rig {

// ForwardingEngine hands every verb on to the engine that it owns; who derives from it overrides what is to be
// different. Thread: as the engine's.
class ForwardingEngine : public TlsEngine {
 public:
  explicit ForwardingEngine(std::unique_ptr<TlsEngine> inner) : inner_(std::move(inner)) {}
  Status feed(ByteView cipher) override { return inner_->feed(cipher); }
  void end_of_input() noexcept override { inner_->end_of_input(); }
  std::expected<Need, Error> handshake(CipherOut& out) override { return inner_->handshake(out); }
  std::expected<WriteStep, Error> write(ByteView plain, CipherOut& out) override { return inner_->write(plain, out); }
  std::expected<ReadStep, Error> read(MutableBytes plain, CipherOut& out) override { return inner_->read(plain, out); }
  bool readable() const noexcept override { return inner_->readable(); }
  std::expected<Need, Error> renegotiate(CipherOut& out) override { return inner_->renegotiate(out); }
  std::expected<Need, Error> update_keys(CipherOut& out) override { return inner_->update_keys(out); }
  std::expected<Need, Error> close_notify(CipherOut& out) override { return inner_->close_notify(out); }
  Facts facts() const override { return inner_->facts(); }
  std::expected<Bytes, Error> session() override { return inner_->session(); }

 protected:
  std::unique_ptr<TlsEngine> inner_;
};

}  // namespace rig
