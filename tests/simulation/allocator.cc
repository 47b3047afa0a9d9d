// operator new and delete of a program with one thread: half of what a history
// took was malloc's. Small blocks come from large pieces, by size, and go back
// to a list of their size; what is larger is malloc's. Not under sanitizers,
// which must see each block come and go.

#include "tests/simulation/sanitizers.h"

#if !defined(LATCHKEY_ASAN) && !defined(LATCHKEY_TSAN)

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// Before each block: its list, or that it is malloc's. As large as what any
// block must be aligned to.
struct alignas(std::max_align_t) Header {
  size_t list;
};
struct Free {
  Free* next;
};

constexpr size_t kStep = sizeof(Header);
constexpr size_t kLists = 129;  // of blocks up to 2 KiB
constexpr size_t kPiece = size_t{1} << 20;

// Without a destructor: blocks are freed until the very end.
std::array<Free*, kLists> free_lists;
char* piece = nullptr;
size_t left = 0;

void* TakeFromSystem(size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* Place(void* memory, size_t list) {
  return ::new (memory) Header{list} + 1;
}

void* Carve(size_t list) {
  const size_t size = sizeof(Header) + list * kStep;
  if (left < size) {
    piece = static_cast<char*>(TakeFromSystem(kPiece));
    left = kPiece;
  }
  void* const memory = piece;
  piece += size;
  left -= size;
  return Place(memory, list);
}

void* Allocate(size_t size) {
  const size_t list = (size + kStep - 1) / kStep;
  if (list >= kLists) {
    return Place(TakeFromSystem(sizeof(Header) + size), kLists);
  }
  Free* const first = free_lists[list];
  if (first == nullptr) return Carve(list);
  free_lists[list] = first->next;
  return first;
}

void Release(void* block) noexcept {
  if (block == nullptr) return;
  Header* const header = static_cast<Header*>(block) - 1;
  if (header->list == kLists) {
    std::free(header);
    return;
  }
  Free*& list = free_lists[header->list];
  list = ::new (block) Free{list};
}

}  // namespace

// The other forms call these two; but for those with an alignment, which stay
// the library's.
void* operator new(size_t size) { return Allocate(size == 0 ? 1 : size); }
void operator delete(void* block) noexcept { Release(block); }
void operator delete(void* block, size_t /*size*/) noexcept { Release(block); }

#endif
