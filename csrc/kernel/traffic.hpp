// The limit a rule is measured against: the loads and stores of a rule with so many states, all of them written, and no
// arithmetic but one addition, without which the gradient or a weight would not be loaded. Values move on, so that none
// is in vain. TrafficRead has the loads of an array that is only read; a pass that measures has more of these than the
// gradient.
#pragma once
#include "math.hpp"

namespace {

template <class T>
struct Traffic0 {
  static constexpr Signature signature = {"traffic0", {}, {}};

  void operator()(T& w, T g) const { w = w + g; }
};

// Moves each of the numbers on to the one before it.
template <class T, class... More>
void move_on(T last, T& first, More&... more) {
  T* to = &first;
  ((*to = more, to = &more), ...);
  *to = last;
}

template <class T>
struct Traffic1 {
  static constexpr Signature signature = {"traffic1", {{"a"}}, {}};

  void operator()(T& w, T g, T& a) const { move_on(w + g, w, a); }
};

template <class T>
struct Traffic2 {
  static constexpr Signature signature = {"traffic2", {{"a"}, {"b"}}, {}};

  void operator()(T& w, T g, T& a, T& b) const { move_on(w + g, w, a, b); }
};

template <class T>
struct Traffic3 {
  static constexpr Signature signature = {"traffic3", {{"a"}, {"b"}, {"c"}}, {}};

  void operator()(T& w, T g, T& a, T& b, T& c) const { move_on(w + g, w, a, b, c); }
};

template <class T>
struct Traffic4 {
  static constexpr Signature signature = {"traffic4", {{"a"}, {"b"}, {"c"}, {"d"}}, {}};

  void operator()(T& w, T g, T& a, T& b, T& c, T& d) const { move_on(w + g, w, a, b, c, d); }
};

// What a ring of four rows needs: the earlier gradients are only read, and the newest one only written.
template <class T>
struct TrafficRing {
  static constexpr Signature signature = {"traffic_ring", {{"a"}, {"b"}, {"c"}, {"newest"}}, {}};

  void operator()(T& w, T g, T a, T b, T c, T& newest) const {
    w = w + g + a + b + c;
    newest = g;
  }
};

template <class T>
struct TrafficRead {
  static constexpr Signature signature = {"traffic_read", {}, {}};
  T factor = 0;

  Terms<T, 1> measure(Unused, T g) const { return {g}; }

  double settle(const Sums&, double, T*) const { return 0; }

  void operator()(T, Unused) const {}
};

}  // namespace
