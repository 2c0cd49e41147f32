#include "harness/lab/kernel/epoll.h"

#include <algorithm>
#include <cerrno>

#include "harness/lab/kernel/state.h"
#include "harness/lab/sanitizer.h"
#include "harness/lab/scheduler.h"

namespace rig::lab {
namespace {

// Of an item's events, the ones that say how it waits. Without others it is disabled (EPOLLONESHOT).
constexpr std::uint32_t how = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
constexpr std::uint32_t always = EPOLLERR | EPOLLHUP;

}  // namespace

void notify(EpollItem& item, std::uint32_t events) {
  if ((item.events & ~how) == 0 || (events & item.events) == 0) {
    return;
  }
  Epoll& epoll = *item.epoll;
  if (!item.listed) {
    item.listed = true;
    epoll.ready_.push_back(&item);
  }
  wake_all(&epoll);
}

void forget(EpollItem& item) {
  Epoll& epoll = *item.epoll;
  std::erase(item.file->watchers, &item);
  if (item.listed) {
    std::erase(epoll.ready_, &item);
  }
  epoll.items_.erase({item.descriptor, item.file->id});
}

std::uint32_t Epoll::ready() {
  const bool any = std::ranges::any_of(
      ready_, [](const EpollItem* item) { return (item->file->ready() & item->events & ~how) != 0; });
  return any ? ready_in : 0;
}

std::int64_t Epoll::next_due_ns() {
  std::int64_t due_ns = never;
  for (const auto& [key, item] : items_) {
    if ((item.events & ~how) != 0) {
      due_ns = std::min(due_ns, item.file->next_due_ns());
    }
  }
  return due_ns;
}

void Epoll::released() {
  while (!items_.empty()) {
    forget(items_.begin()->second);
  }
}

Answer Epoll::control_item(int operation, int descriptor, File& file, const epoll_event* event) {
  if (&file == this) {
    return -EINVAL;
  }
  if (dynamic_cast<Epoll*>(&file) != nullptr) {
    refuse("epoll_ctl", "an epoll within an epoll");
  }
  const auto found = items_.find({descriptor, file.id});
  order_before(this);
  if (operation == EPOLL_CTL_DEL) {
    if (found == items_.end()) {
      return -ENOENT;
    }
    forget(found->second);
    return 0;
  }
  if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD) {
    return -EINVAL;
  }
  if (event == nullptr) {
    return -EFAULT;
  }
  user_reads(event, sizeof *event);
  const std::uint32_t events = event->events | always;
  EpollItem* item = nullptr;
  if (operation == EPOLL_CTL_ADD) {
    if (found != items_.end()) {
      return -EEXIST;
    }
    item = &items_[{descriptor, file.id}];
    *item = {.epoll = this, .file = &file, .descriptor = descriptor, .events = events, .data = event->data};
    file.watchers.push_back(item);
  } else {
    if (found == items_.end()) {
      return -ENOENT;
    }
    if ((events & EPOLLEXCLUSIVE) != 0 || (found->second.events & EPOLLEXCLUSIVE) != 0) {
      return -EINVAL;
    }
    item = &found->second;
    item->events = events;
    item->data = event->data;
  }
  // A file that becomes ready by itself bounds the wait of those who are in it.
  wake_all(this);
  if (const std::uint32_t now = file.ready(); (now & events & ~how) != 0) {
    notify(*item, now);
  }
  return 0;
}

int Epoll::collect(std::span<epoll_event> events) {
  std::deque<EpollItem*> left;
  left.swap(ready_);
  std::size_t count = 0;
  while (!left.empty() && count < events.size()) {
    EpollItem* item = left.front();
    left.pop_front();
    item->listed = false;
    const std::uint32_t now = item->file->ready() & item->events & ~how;
    if (now == 0) {
      continue;
    }
    events[count++] = {.events = now, .data = item->data};
    if ((item->events & EPOLLONESHOT) != 0) {
      item->events &= how;
    } else if ((item->events & EPOLLET) == 0) {
      // A level-triggered item goes to the end: others have their turn first.
      item->listed = true;
      ready_.push_back(item);
    }
  }
  ready_.insert(ready_.begin(), left.begin(), left.end());
  user_writes(events.data(), count * sizeof(epoll_event));
  if (count > 0) {
    order_after(this);
  }
  return static_cast<int>(count);
}

bool Epoll::pretend(const Fault& fault, epoll_event& event) {
  for (auto& [key, item] : items_) {
    const std::uint32_t wanted = item.events & (EPOLLIN | EPOLLOUT);
    if (wanted != 0 && lies_at(fault, item.file->place())) {
      event = {.events = (wanted & EPOLLIN) != 0 ? std::uint32_t{EPOLLIN} : std::uint32_t{EPOLLOUT}, .data = item.data};
      return true;
    }
  }
  return false;
}

std::vector<Place> Epoll::places() const {
  std::vector<Place> all;
  for (const auto& [key, item] : items_) {
    all.push_back(item.file->place());
  }
  return all;
}

}  // namespace rig::lab
