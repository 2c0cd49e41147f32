#include "harness/socket/send_queue.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <utility>

#include "harness/base/check.h"
#include "harness/base/prng.h"

namespace rig {
namespace {

// One chunk of the wire lane takes two records of the greatest size, with what TLS 1.2 or 1.3 adds to each.
constexpr std::size_t chunk_bytes = 2 * (16384 + 256);

// A node that waits for reuse keeps a plaintext buffer of one record at most: one huge op must not hold on to its
// memory for ever.
constexpr std::size_t kept_plain_bytes_max = 16384;

enum class OpState : std::uint8_t { queued, inflight, done, cancelled };

struct Node {
  Node* next = nullptr;  // in issue order, or in the free list
  Node* next_in_bucket = nullptr;
  Token token = 0;
  std::unique_ptr<std::uint8_t[]> plain;
  std::size_t plain_capacity = 0;
  std::size_t plain_bytes = 0;
  std::size_t encrypted_bytes = 0;
  std::uint64_t wire_end = 0;  // where in the stream of ciphertext the last byte ends, once it is there
  OpState state = OpState::queued;
  bool more = false;
  bool on_wire = false;  // some ciphertext of it is, or was, in the wire lane
  std::optional<Error> error;
};

struct Chunk {
  Chunk* next = nullptr;
  std::size_t begin = 0;  // the first byte that the transport has not taken
  std::size_t end = 0;    // behind the last byte committed
  std::array<std::uint8_t, chunk_bytes> bytes;
};

// ensure_plain gives `node` a buffer of `bytes`; false, and nothing changed, if memory has run out.
bool ensure_plain(Node& node, std::size_t bytes) noexcept {
  if (bytes <= node.plain_capacity) {
    return true;
  }
  // Rounding up makes ops of varying length settle on one buffer; past what is kept it would only be waste.
  const std::size_t capacity = bytes <= kept_plain_bytes_max ? std::bit_ceil(std::max<std::size_t>(bytes, 64)) : bytes;
  std::uint8_t* fresh = new (std::nothrow) std::uint8_t[capacity];
  if (fresh == nullptr) {
    return false;
  }
  node.plain.reset(fresh);
  node.plain_capacity = capacity;
  return true;
}

// TokenIndex finds a pending token in constant time. The chains run through the nodes, so only growing allocates; if
// that fails the chains get longer, and all else stays as it is.
class TokenIndex {
 public:
  bool contains(Token token) const noexcept {
    for (const Node* node = buckets_[slot(token)]; node != nullptr; node = node->next_in_bucket) {
      if (node->token == token) {
        return true;
      }
    }
    return false;
  }

  void insert(Node& node) noexcept {
    if (++size_ > chain_max * buckets_.size()) {
      grow();
    }
    link(node);
  }

  void erase(const Node& node) noexcept {
    Node** place = &buckets_[slot(node.token)];
    while (*place != &node) {
      place = &(*place)->next_in_bucket;
    }
    *place = node.next_in_bucket;
    if (--size_ == 0 && heap_ != nullptr) {
      // A queue that has been through a burst and is idle again gives the table back.
      heap_.reset();
      buckets_ = inline_;
    }
  }

 private:
  static constexpr std::size_t chain_max = 2;

  std::size_t slot(Token token) const noexcept { return mix64(token) & (buckets_.size() - 1); }

  void link(Node& node) noexcept {
    Node*& bucket = buckets_[slot(node.token)];
    node.next_in_bucket = bucket;
    bucket = &node;
  }

  void grow() noexcept {
    const std::size_t count = 2 * buckets_.size();
    std::unique_ptr<Node*[]> fresh(new (std::nothrow) Node*[count]());
    if (fresh == nullptr) {
      return;
    }
    const std::span<Node*> old = buckets_;
    buckets_ = {fresh.get(), count};
    for (Node*& bucket : old) {
      while (Node* node = bucket) {
        bucket = node->next_in_bucket;
        link(*node);
      }
    }
    heap_ = std::move(fresh);
  }

  std::array<Node*, 64> inline_{};
  std::unique_ptr<Node*[]> heap_;
  std::span<Node*> buckets_ = inline_;
  std::size_t size_ = 0;
};

}  // namespace

// Lanes is the state of a queue. One list holds all ops in issue order: completed ones up to first_pending, then those
// with all of their ciphertext in the wire lane up to first_waiting, then the waiting lane.
//
// A place in the stream of ciphertext is a count of bytes since the queue was made; front and tail bound the wire lane.
struct SendQueue::Lanes {
  explicit Lanes(const SendLimits& wanted) : limits(wanted) {}

  void append(Node* node) noexcept;
  void settle(Node& node, OpState state) noexcept;
  void settle_front(bool also_waiting) noexcept;
  void pass_empty_ops() noexcept;
  void release_node(Node* node) noexcept;
  void release_chunk(Chunk* chunk) noexcept;
  void drop_front_chunk() noexcept;
  bool owes_completions() const noexcept;

  SendLimits limits;
  Node* head = nullptr;
  Node* last = nullptr;
  Node* first_pending = nullptr;
  Node* first_waiting = nullptr;
  Node* free_nodes = nullptr;
  std::size_t ops = 0;
  std::size_t pending = 0;
  std::size_t pending_urgent = 0;  // of those, pushed without `more`
  std::size_t plain_bytes = 0;
  std::size_t done_bytes = 0;  // of ops that are not pending any more
  TokenIndex tokens;

  Chunk* front_chunk = nullptr;
  Chunk* tail_chunk = nullptr;
  Chunk* free_chunks = nullptr;
  bool prepared = false;  // an engine holds the storage behind the tail
  std::uint64_t front = 0;
  std::uint64_t tail = 0;
  std::uint64_t ops_end = 0;     // where the last op that is all ciphertext ends
  std::uint64_t urgent_end = 0;  // bytes before this place must not be held back
  // Committed ciphertext counts as control until encrypted() says that it belongs to an op; this undoes that.
  std::uint64_t urgent_end_before = 0;
  std::size_t commit_bytes = 0;

  bool gathered_more = false;  // the run that was gathered last may be held back by the transport
  bool held_back = false;      // and so may what it has taken last
  bool push = false;           // nothing but a push makes that leave

  // The size of the smallest refused op, if one was refused.
  std::optional<std::size_t> refused_bytes;
  Counters counters;
};

void SendQueue::Lanes::append(Node* node) noexcept {
  node->next = nullptr;
  (last == nullptr ? head : last->next) = node;
  last = node;
  if (first_pending == nullptr) {
    first_pending = node;
  }
  if (first_waiting == nullptr) {
    first_waiting = node;
  }
  ++ops;
  ++pending;
  pending_urgent += node->more ? 0 : 1;
  plain_bytes += node->plain_bytes;
  tokens.insert(*node);
}

// settle is the one place where an op stops being pending; it is always the oldest that does.
void SendQueue::Lanes::settle(Node& node, OpState state) noexcept {
  RIG_CHECK(&node == first_pending && node.state != OpState::done && node.state != OpState::cancelled);
  node.state = state;
  if (first_waiting == &node) {
    first_waiting = node.next;
  }
  first_pending = node.next;
  push = push || (state == OpState::done && !node.more && held_back);
  --pending;
  pending_urgent -= node.more ? 0 : 1;
  plain_bytes -= node.plain_bytes;
  done_bytes += node.plain_bytes;
}

// owes_completions says that more is done than the limits let be pending, and nobody has fetched it.
bool SendQueue::Lanes::owes_completions() const noexcept {
  const std::size_t done = ops - pending;
  return done > limits.ops_max || (done > 1 && done_bytes > limits.bytes_max);
}

void SendQueue::Lanes::settle_front(bool also_waiting) noexcept {
  while (first_pending != nullptr) {
    Node& node = *first_pending;
    const bool taken = &node == first_waiting ? also_waiting && node.plain_bytes == 0 : node.wire_end <= front;
    if (!taken) {
      return;
    }
    settle(node, OpState::done);
  }
}

// An empty op ends where the op before it ends: it waits for that one and for no control ciphertext behind it.
void SendQueue::Lanes::pass_empty_ops() noexcept {
  while (first_waiting != nullptr && first_waiting->plain_bytes == 0) {
    Node& node = *first_waiting;
    node.state = OpState::inflight;
    node.wire_end = ops_end;
    if (!node.more) {
      urgent_end = std::max(urgent_end, ops_end);
    }
    first_waiting = node.next;
  }
}

void SendQueue::Lanes::release_node(Node* node) noexcept {
  if (counters.nodes_free >= limits.free_ops_max) {
    ++counters.nodes_released;
    delete node;
    return;
  }
  if (node->plain_capacity > kept_plain_bytes_max) {
    node->plain.reset();
    node->plain_capacity = 0;
  }
  node->next = free_nodes;
  free_nodes = node;
  ++counters.nodes_free;
}

void SendQueue::Lanes::release_chunk(Chunk* chunk) noexcept {
  if (counters.chunks_free >= limits.free_chunks_max) {
    delete chunk;
    return;
  }
  chunk->next = free_chunks;
  free_chunks = chunk;
  ++counters.chunks_free;
}

void SendQueue::Lanes::drop_front_chunk() noexcept {
  Chunk* chunk = front_chunk;
  front_chunk = chunk->next;
  if (front_chunk == nullptr) {
    tail_chunk = nullptr;
  }
  release_chunk(chunk);
}

SendQueue::SendQueue(const SendLimits& limits) : lanes_(std::make_unique<Lanes>(limits)) {
  // A queue that takes nothing could never say that it is writable again.
  lanes_->limits.ops_max = std::max<std::size_t>(limits.ops_max, 1);
}

SendQueue::~SendQueue() {
  for (Node* list : {lanes_->head, lanes_->free_nodes}) {
    while (list != nullptr) {
      delete std::exchange(list, list->next);
    }
  }
  for (Chunk* list : {lanes_->front_chunk, lanes_->free_chunks}) {
    while (list != nullptr) {
      delete std::exchange(list, list->next);
    }
  }
}

Status SendQueue::push(Token token, ByteView plain, bool more) noexcept {
  Lanes& lanes = *lanes_;
  if (lanes.tokens.contains(token)) {
    return std::unexpected(Error(Code::invalid_argument, "the token is that of an op that is still pending"));
  }
  const std::size_t room = lanes.limits.bytes_max - std::min(lanes.limits.bytes_max, lanes.plain_bytes);
  if (lanes.pending >= lanes.limits.ops_max || (lanes.pending > 0 && plain.size() > room) || lanes.owes_completions()) {
    lanes.refused_bytes = std::min(plain.size(), lanes.refused_bytes.value_or(plain.size()));
    return std::unexpected(Error(Code::would_block, "the send queue is full"));
  }
  const bool reused = lanes.free_nodes != nullptr;
  std::unique_ptr<Node> fresh(reused ? nullptr : new (std::nothrow) Node);
  Node* node = reused ? lanes.free_nodes : fresh.get();
  if (node == nullptr || !ensure_plain(*node, plain.size())) {
    return std::unexpected(Error(Code::no_memory, "no memory for the op"));
  }
  if (reused) {
    lanes.free_nodes = node->next;
    --lanes.counters.nodes_free;
    ++lanes.counters.nodes_reused;
    node->encrypted_bytes = 0;
    node->state = OpState::queued;
    node->on_wire = false;
    node->error.reset();
  } else {
    fresh.release();
    ++lanes.counters.nodes_allocated;
  }
  node->token = token;
  node->plain_bytes = plain.size();
  node->more = more;
  std::copy(plain.begin(), plain.end(), node->plain.get());
  lanes.append(node);
  return {};
}

std::optional<ByteView> SendQueue::next_plain() noexcept {
  Lanes& lanes = *lanes_;
  lanes.pass_empty_ops();
  const std::size_t held = wire_bytes();
  // An empty wire lane takes one piece whatever the limit is: a limit of 0 would stop everything for ever.
  const bool full = held > 0 && held >= lanes.limits.wire_bytes_max;
  if (lanes.first_waiting == nullptr || full) {
    return std::nullopt;
  }
  const Node& node = *lanes.first_waiting;
  return ByteView(node.plain.get(), node.plain_bytes).subspan(node.encrypted_bytes);
}

void SendQueue::encrypted(std::size_t accepted) noexcept {
  Lanes& lanes = *lanes_;
  Node* node = lanes.first_waiting;
  RIG_CHECK(node != nullptr && accepted <= node->plain_bytes - node->encrypted_bytes);
  const bool committed = std::exchange(lanes.commit_bytes, 0) > 0;
  if (accepted > 0 || committed) {
    node->on_wire = true;
    node->state = OpState::inflight;
  }
  if (committed && node->more) {
    lanes.urgent_end = lanes.urgent_end_before;
  }
  node->encrypted_bytes += accepted;
  if (node->encrypted_bytes == node->plain_bytes) {
    node->wire_end = lanes.tail;
    lanes.ops_end = lanes.tail;
    if (!node->more) {
      lanes.urgent_end = lanes.tail;
    }
    lanes.first_waiting = node->next;
  }
}

bool SendQueue::partly_encrypted() const noexcept {
  return lanes_->first_waiting != nullptr && lanes_->first_waiting->on_wire;
}

std::expected<MutableBytes, Error> SendQueue::prepare_wire() noexcept {
  Lanes& lanes = *lanes_;
  if (lanes.tail_chunk == nullptr || lanes.tail_chunk->end == chunk_bytes) {
    Chunk* chunk = lanes.free_chunks;
    if (chunk != nullptr) {
      lanes.free_chunks = chunk->next;
      --lanes.counters.chunks_free;
      chunk->next = nullptr;
      chunk->begin = 0;
      chunk->end = 0;
    } else {
      chunk = new (std::nothrow) Chunk;
      if (chunk == nullptr) {
        return std::unexpected(Error(Code::no_memory, "no memory for ciphertext to be sent"));
      }
    }
    (lanes.tail_chunk == nullptr ? lanes.front_chunk : lanes.tail_chunk->next) = chunk;
    lanes.tail_chunk = chunk;
  }
  lanes.prepared = true;
  lanes.commit_bytes = 0;
  return MutableBytes(lanes.tail_chunk->bytes).subspan(lanes.tail_chunk->end);
}

void SendQueue::commit_wire(std::size_t bytes) noexcept {
  Lanes& lanes = *lanes_;
  RIG_CHECK(lanes.prepared && bytes <= chunk_bytes - lanes.tail_chunk->end);
  lanes.prepared = false;
  lanes.commit_bytes = bytes;
  if (bytes > 0) {
    lanes.tail_chunk->end += bytes;
    lanes.tail += bytes;
    lanes.urgent_end_before = std::exchange(lanes.urgent_end, lanes.tail);
  } else if (lanes.front == lanes.tail) {
    lanes.drop_front_chunk();  // as in consume()
  }
}

SendQueue::Gathered SendQueue::gather(std::span<ByteView> pieces, bool flush) noexcept {
  Lanes& lanes = *lanes_;
  const bool urgent = lanes.urgent_end > lanes.front;
  std::size_t limit = wire_bytes();
  if (urgent && !flush) {
    limit = static_cast<std::size_t>(lanes.urgent_end - lanes.front);
  }
  Gathered gathered;
  const Chunk* chunk = lanes.front_chunk;
  while (gathered.pieces < pieces.size() && gathered.bytes < limit) {
    const std::size_t bytes = std::min(chunk->end - chunk->begin, limit - gathered.bytes);
    pieces[gathered.pieces] = ByteView(chunk->bytes).subspan(chunk->begin, bytes);
    ++gathered.pieces;
    gathered.bytes += bytes;
    chunk = chunk->next;
  }
  gathered.more = gathered.bytes > 0 && !urgent && !flush;
  lanes.gathered_more = gathered.more;
  return gathered;
}

void SendQueue::consume(std::size_t bytes) noexcept {
  Lanes& lanes = *lanes_;
  RIG_CHECK(bytes <= wire_bytes());
  lanes.front += bytes;
  if (bytes > 0) {
    lanes.held_back = lanes.gathered_more;
    lanes.push = false;
  }
  while (bytes > 0) {
    Chunk& chunk = *lanes.front_chunk;
    const std::size_t taken = std::min(bytes, chunk.end - chunk.begin);
    chunk.begin += taken;
    bytes -= taken;
    if (chunk.begin == chunk.end && &chunk != lanes.tail_chunk) {
      lanes.drop_front_chunk();
    }
  }
  // An idle queue holds on to its free chunks only; but storage that an engine fills right now stays where it is.
  if (lanes.front == lanes.tail && lanes.front_chunk != nullptr && !lanes.prepared) {
    lanes.drop_front_chunk();
  }
  lanes.settle_front(false);
}

bool SendQueue::take_push() noexcept {
  const bool push = std::exchange(lanes_->push, false);
  lanes_->held_back = lanes_->held_back && !push;
  return push;
}

void SendQueue::settle_front() noexcept {
  lanes_->settle_front(true);
}

void SendQueue::cancel_all(const Error& error) noexcept {
  Lanes& lanes = *lanes_;
  while (lanes.first_pending != nullptr) {
    lanes.first_pending->error = error;
    lanes.settle(*lanes.first_pending, OpState::cancelled);
  }
  while (lanes.front_chunk != nullptr) {
    lanes.drop_front_chunk();
  }
  lanes.prepared = false;
  lanes.commit_bytes = 0;
  lanes.front = lanes.tail;
}

std::optional<Completion> SendQueue::pop_completed() noexcept {
  Lanes& lanes = *lanes_;
  if (!has_completed()) {
    return std::nullopt;
  }
  Node* node = lanes.head;
  lanes.head = node->next;
  if (lanes.head == nullptr) {
    lanes.last = nullptr;
  }
  --lanes.ops;
  lanes.done_bytes -= node->plain_bytes;
  lanes.tokens.erase(*node);
  std::optional<Completion> completion(Completion{node->token, node->plain_bytes, node->error});
  lanes.release_node(node);
  return completion;
}

bool SendQueue::take_writable_again() noexcept {
  Lanes& lanes = *lanes_;
  if (!lanes.refused_bytes.has_value() || lanes.pending > lanes.limits.ops_max / 2 ||
      lanes.plain_bytes > lanes.limits.bytes_max / 2 || lanes.owes_completions()) {
    return false;
  }
  // Telling an application to come back with an op that still does not fit would make it spin.
  if (lanes.pending > 0 && *lanes.refused_bytes > lanes.limits.bytes_max - lanes.plain_bytes) {
    return false;
  }
  lanes.refused_bytes.reset();
  return true;
}

bool SendQueue::refused() const noexcept {
  return lanes_->refused_bytes.has_value();
}

bool SendQueue::has_completed() const noexcept {
  return lanes_->head != lanes_->first_pending;
}

bool SendQueue::idle() const noexcept {
  return lanes_->head == nullptr && wire_bytes() == 0;
}

std::size_t SendQueue::ops() const noexcept {
  return lanes_->ops;
}

std::size_t SendQueue::ops_pending() const noexcept {
  return lanes_->pending;
}

std::size_t SendQueue::plain_bytes() const noexcept {
  return lanes_->plain_bytes;
}

std::size_t SendQueue::wire_bytes() const noexcept {
  return static_cast<std::size_t>(lanes_->tail - lanes_->front);
}

bool SendQueue::only_more() const noexcept {
  return lanes_->pending > 0 && lanes_->pending_urgent == 0 && lanes_->urgent_end <= lanes_->front;
}

SendQueue::Counters SendQueue::counters() const noexcept {
  return lanes_->counters;
}

}  // namespace rig
