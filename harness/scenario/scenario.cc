#include "harness/scenario/scenario.h"

#include <array>
#include <span>

namespace rig {
namespace {

// One table per enumeration serves both directions. Overloads on a tag make the table findable from a template.
template <class Enum>
struct Tag {};

constexpr auto table(Tag<Side>) {
  return std::to_array<Word<Side>>({{Side::client, "client"}, {Side::server, "server"}});
}
constexpr auto table(Tag<World>) {
  return std::to_array<Word<World>>({{World::loopback, "loopback"}, {World::lab, "lab"}});
}
constexpr auto table(Tag<Auth>) {
  return std::to_array<Word<Auth>>({{Auth::psk, "psk"}, {Auth::certificate, "certificate"}});
}
constexpr auto table(Tag<Size>) {
  return std::to_array<Word<Size>>({{Size::tiny, "tiny"}, {Size::quick, "quick"}, {Size::full, "full"}});
}
constexpr auto table(Tag<TlsChoice>) {
  return std::to_array<Word<TlsChoice>>(
      {{TlsChoice::none, "none"}, {TlsChoice::tls12, "1.2"}, {TlsChoice::tls13, "1.3"}});
}
constexpr auto table(Tag<PollerChoice>) {
  return std::to_array<Word<PollerChoice>>(
      {{PollerChoice::epoll, "epoll"}, {PollerChoice::poll, "poll"}, {PollerChoice::select, "select"}});
}
constexpr auto table(Tag<Peer>) {
  return std::to_array<Word<Peer>>({{Peer::subject, "subject"},
                                    {Peer::plaintext, "plaintext"},
                                    {Peer::plaintext_client, "plaintext_client"}});
}
constexpr auto table(Tag<Event>) {
  return std::to_array<Word<Event>>({{Event::accepted, "accepted"},
                                     {Event::connected, "connected"},
                                     {Event::data, "data"},
                                     {Event::ended, "ended"},
                                     {Event::sent, "sent"},
                                     {Event::writable, "writable"},
                                     {Event::closed, "closed"}});
}
constexpr auto table(Tag<Verb>) {
  return std::to_array<Word<Verb>>({{Verb::close_graceful, "close_graceful"},
                                    {Verb::close_abort, "close_abort"},
                                    {Verb::half_close, "half_close"},
                                    {Verb::destroy, "destroy"},
                                    {Verb::pause, "pause"},
                                    {Verb::resume, "resume"},
                                    {Verb::renegotiate, "renegotiate"},
                                    {Verb::update_keys, "update_keys"},
                                    {Verb::echo, "echo"},
                                    {Verb::echo_elsewhere, "echo_elsewhere"},
                                    {Verb::destroy_other, "destroy_other"},
                                    {Verb::stop_listening, "stop_listening"},
                                    {Verb::connect, "connect"},
                                    {Verb::send, "send"},
                                    {Verb::await, "await"},
                                    {Verb::align, "align"},
                                    {Verb::relay_stall, "relay_stall"},
                                    {Verb::relay_flow, "relay_flow"},
                                    {Verb::relay_reset, "relay_reset"},
                                    {Verb::relay_fin, "relay_fin"}});
}
constexpr auto table(Tag<Condition>) {
  return std::to_array<Word<Condition>>({{Condition::connected, "connected"},
                                         {Condition::established, "established"},
                                         {Condition::sent, "sent"},
                                         {Condition::received, "received"},
                                         {Condition::pending, "pending"},
                                         {Condition::handshakes, "handshakes"},
                                         {Condition::key_updates, "key_updates"},
                                         {Condition::ended, "ended"},
                                         {Condition::closed, "closed"},
                                         {Condition::peer_closed, "peer_closed"}});
}
constexpr auto table(Tag<Where>) {
  return std::to_array<Word<Where>>({{Where::loop, "loop"}, {Where::beside, "beside"}});
}

template <class Enum>
constexpr auto all_words = table(Tag<Enum>{});

template <class Enum>
std::string_view word_of(Enum value) noexcept {
  for (const auto& [candidate, name] : all_words<Enum>) {
    if (candidate == value) {
      return name;
    }
  }
  return "?";
}

}  // namespace

std::string_view word(Side side) noexcept { return word_of(side); }
std::string_view word(World world) noexcept { return word_of(world); }
std::string_view word(Auth auth) noexcept { return word_of(auth); }
std::string_view word(Size size) noexcept { return word_of(size); }
std::string_view word(TlsChoice tls) noexcept { return word_of(tls); }
std::string_view word(PollerChoice poller) noexcept { return word_of(poller); }
std::string_view word(Peer peer) noexcept { return word_of(peer); }
std::string_view word(Event event) noexcept { return word_of(event); }
std::string_view word(Verb verb) noexcept { return word_of(verb); }
std::string_view word(Condition condition) noexcept { return word_of(condition); }
std::string_view word(Where where) noexcept { return word_of(where); }

template <class Enum>
std::span<const Word<Enum>> words() noexcept {
  return all_words<Enum>;
}

template <class Enum>
std::optional<Enum> from_word(std::string_view text) noexcept {
  for (const auto& [value, name] : all_words<Enum>) {
    if (name == text) {
      return value;
    }
  }
  return std::nullopt;
}

template std::span<const Word<Side>> words() noexcept;
template std::optional<Side> from_word(std::string_view) noexcept;
template std::span<const Word<World>> words() noexcept;
template std::optional<World> from_word(std::string_view) noexcept;
template std::span<const Word<Auth>> words() noexcept;
template std::optional<Auth> from_word(std::string_view) noexcept;
template std::span<const Word<Size>> words() noexcept;
template std::optional<Size> from_word(std::string_view) noexcept;
template std::span<const Word<TlsChoice>> words() noexcept;
template std::optional<TlsChoice> from_word(std::string_view) noexcept;
template std::span<const Word<PollerChoice>> words() noexcept;
template std::optional<PollerChoice> from_word(std::string_view) noexcept;
template std::span<const Word<Peer>> words() noexcept;
template std::optional<Peer> from_word(std::string_view) noexcept;
template std::span<const Word<Event>> words() noexcept;
template std::optional<Event> from_word(std::string_view) noexcept;
template std::span<const Word<Verb>> words() noexcept;
template std::optional<Verb> from_word(std::string_view) noexcept;
template std::span<const Word<Condition>> words() noexcept;
template std::optional<Condition> from_word(std::string_view) noexcept;
template std::span<const Word<Where>> words() noexcept;
template std::optional<Where> from_word(std::string_view) noexcept;

std::string cell_name(const Cell& cell) {
  std::string name = cell.client + "~" + cell.server + ".";
  name += cell.tls == TlsChoice::tls12 ? "tls12" : cell.tls == TlsChoice::tls13 ? "tls13" : "plain";
  name += "." + std::string(word(cell.poller)) + (cell.fast_track ? ".fast_on" : ".fast_off");
  if (cell.subject != "house") {
    name += "." + cell.subject;
  }
  if (cell.world != World::loopback) {
    name += "." + std::string(word(cell.world));
  }
  return name;
}

}  // namespace rig
