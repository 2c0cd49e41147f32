// Epoll: an epoll instance. It goes by Linux's fs/eventpoll.c: a list of items that may be ready, in the order in which
// they became so, and looked at again when the list is read.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "harness/lab/kernel/faults.h"
#include "harness/lab/kernel/file.h"

namespace rig::lab {

class Epoll;

// EpollItem is one registration.
struct EpollItem {
  Epoll* epoll;
  File* file;
  int descriptor;
  std::uint32_t events;
  epoll_data_t data;
  bool listed = false;
};

// notify puts an item on its epoll's list, if `events` are among those that it is interested in. forget ends it.
void notify(EpollItem& item, std::uint32_t events);
void forget(EpollItem& item);

// Epoll is one instance.
class Epoll final : public File {
 public:
  Epoll() : File("epoll") {}

  std::uint32_t ready() override;
  std::int64_t next_due_ns() override;
  void released() override;

  Answer control_item(int operation, int descriptor, File& file, const epoll_event* event);
  // collect answers what is ready now, without waiting.
  int collect(std::span<epoll_event> events);
  // pretend answers one item that is not ready, for a spurious event; false: there is none that the fault means.
  bool pretend(const Fault& fault, epoll_event& event);
  // places are those of the registered files.
  std::vector<Place> places() const;

 private:
  friend void notify(EpollItem& item, std::uint32_t events);
  friend void forget(EpollItem& item);
  // Linux's key of a registration is the descriptor and the file.
  std::map<std::pair<int, std::uint32_t>, EpollItem> items_;
  std::deque<EpollItem*> ready_;
};

}  // namespace rig::lab
