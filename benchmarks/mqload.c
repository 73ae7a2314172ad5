/* mqload: an independent MQTT 3.1.1 and 5.0 load generator, one epoll loop, no library.
 *
 *   mqload -p PORT -s SCENARIO [-P pubs] [-S subs] [-n messages] [-b bytes]
 *          [-q qos] [-w window] [-r rate] [-V 4|5] [-F first] [-W]
 *
 * scenarios
 *   pairs   publisher i -> topic l/i -> subscriber i
 *   fanin   all publishers -> one subscriber on l/#
 *   fanout  one publisher -> all subscribers on l/x
 *   idle    open S connections with a subscription each, print the seconds it took, hold
 *           them until stdin closes (64 at a time, as in fanout where S is above 512)
 *   wild    pairs, but each subscriber also holds 20 wildcard filters that miss
 * -w: for QoS 0 the number of messages in the air per publisher (counted at the
 *     subscribers), for QoS 1/2 unacknowledged messages per publisher.
 * -r: total messages per second (0: as fast as the window allows); latency is
 *     measured from the planned send time (no coordinated omission).
 * -V: protocol level of publishers and subscribers: 4 (MQTT 3.1.1) or 5 (MQTT 5.0,
 *     every packet with its property length; the broker's Receive Maximum bounds -w).
 * -F: the number of the first subscriber, so that two loads on one broker do not take
 *     each other's client identifiers and topics.
 * -W: when everybody is connected, print {"ready":1} and wait for a line on stdin; stay
 *     connected at the end until stdin closes.
 * prints one JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int fd, idx, sub;
  uint8_t *in;
  size_t inlen, incap;
  uint8_t *out;
  size_t outlen, outoff, outcap;
  int connected, subscribed, want_out;
  uint16_t mid;
  long sent, acked;
} conn;

static int port = 1883, pubs = 1, subs = 1, bytes = 64, qos = 0, level = 4, first = 0, waits = 0;
static long n = 100000, window = 1000;
static double rate = 0;
static const char *scn = "pairs";
static int ep;
static conn *C;
static int nc;
static long received, acked_total, sent_total;
static int ready;
static uint32_t *lat;
static long nlat, caplat;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}
static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void die(const char *m) {
  fprintf(stderr, "mqload: %s (%s)\n", m, strerror(errno));
  exit(2);
}

static void bad(const char *m, int code) {
  fprintf(stderr, "mqload: %s (0x%02x)\n", m, code);
  exit(2);
}

static uint8_t *room(conn *c, size_t k) {
  if (c->outoff && c->outoff == c->outlen) c->outoff = c->outlen = 0;
  if (c->outlen + k > c->outcap) {
    c->outcap = (c->outlen + k) * 2;
    c->out = realloc(c->out, c->outcap);
  }
  uint8_t *p = c->out + c->outlen;
  c->outlen += k;
  return p;
}
static int varint(uint8_t *p, uint32_t v) {
  int i = 0;
  do {
    uint8_t b = v % 128;
    v /= 128;
    if (v) b |= 128;
    p[i++] = b;
  } while (v);
  return i;
}
static void arm(conn *c, int out) {
  if (c->want_out == out) return;
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
  c->want_out = out;
}
static void flush_c(conn *c) {
  while (c->outoff < c->outlen) {
    ssize_t k = send(c->fd, c->out + c->outoff, c->outlen - c->outoff, MSG_NOSIGNAL);
    if (k < 0) {
      if (errno == EAGAIN) {
        arm(c, 1);
        return;
      }
      die("send");
    }
    c->outoff += k;
  }
  c->outoff = c->outlen = 0;
  arm(c, 0);
}
static void do_connect(conn *c) {
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) die("socket");
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  /* spread over loopback source addresses so that >28k connections fit */
  struct sockaddr_in s = {.sin_family = AF_INET};
  s.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(c->idx / 20000));
  int one = 1;
  setsockopt(c->fd, IPPROTO_IP, 24 /*IP_BIND_ADDRESS_NO_PORT*/, &one, sizeof one);
  if (c->idx >= 20000) bind(c->fd, (void *)&s, sizeof s);
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  if (connect(c->fd, (void *)&a, sizeof a)) die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  char id[32];
  int il = sprintf(id, "%s%d", c->sub ? "s" : "p", c->idx);
  int v5 = level == 5;
  uint8_t *p = room(c, 2 + 10 + v5 + 2 + il);
  *p++ = 0x10;
  *p++ = 12 + v5 + il;
  memcpy(p, "\0\4MQTT\4\2\0\0", 10);
  p[6] = level;
  p[8] = 0xff;
  p[9] = 0xff;
  p += 10;
  if (v5) *p++ = 0; /* no properties */
  *p++ = 0;
  *p++ = il;
  memcpy(p, id, il);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
  flush_c(c);
}
static void topic_of(conn *c, char *t) {
  if (!strcmp(scn, "fanout")) strcpy(t, "l/x");
  else sprintf(t, "l/%d", c->idx);
}
static void do_subscribe(conn *c) {
  char t[64];
  if (!strcmp(scn, "fanin")) strcpy(t, "l/#");
  else topic_of(c, t);
  int nf = !strcmp(scn, "wild") ? 21 : 1;
  uint8_t body[4096];
  int k = 0;
  body[k++] = 0;
  body[k++] = 1;
  if (level == 5) body[k++] = 0;
  for (int i = 0; i < nf; i++) {
    char f[64];
    if (i) sprintf(f, "w%d/+/%d/#", i, c->idx);
    else strcpy(f, t);
    int l = strlen(f);
    body[k++] = 0;
    body[k++] = l;
    memcpy(body + k, f, l);
    k += l;
    body[k++] = qos;
  }
  uint8_t v[4];
  int vl = varint(v, k);
  uint8_t *p = room(c, 1 + vl + k);
  *p++ = 0x82;
  memcpy(p, v, vl);
  memcpy(p + vl, body, k);
  flush_c(c);
}
static void publish(conn *c, uint64_t stamp) {
  char t[64];
  topic_of(c, t);
  int tl = strlen(t);
  uint32_t rem = 2 + tl + (qos ? 2 : 0) + (level == 5) + bytes;
  uint8_t v[4];
  int vl = varint(v, rem);
  uint8_t *p = room(c, 1 + vl + rem);
  *p++ = 0x30 | (qos << 1);
  memcpy(p, v, vl);
  p += vl;
  *p++ = 0;
  *p++ = tl;
  memcpy(p, t, tl);
  p += tl;
  if (qos) {
    if (++c->mid == 0) c->mid = 1;
    *p++ = c->mid >> 8;
    *p++ = c->mid;
  }
  if (level == 5) *p++ = 0;
  memset(p, 'x', bytes);
  if (bytes >= 8) memcpy(p, &stamp, 8);
  c->sent++;
  sent_total++;
}
/* the length of a variable byte integer at p, its value in *v; dies past end */
static int unvarint(const uint8_t *p, const uint8_t *end, uint32_t *v) {
  *v = 0;
  for (int i = 0; i < 4 && p + i < end; i++) {
    *v |= (uint32_t)(p[i] & 127) << (7 * i);
    if (!(p[i] & 128)) return i + 1;
  }
  bad("cut or overlong length", 0);
  return 0;
}
/* the first byte after the properties that start at p (5.0), or p itself (3.1.1) */
static uint8_t *after_properties(uint8_t *p, uint8_t *end) {
  if (level != 5) return p;
  uint32_t v;
  int k = unvarint(p, end, &v);
  if (v > (uint32_t)(end - p - k)) bad("cut properties", 0);
  return p + k + v;
}
/* what the broker allows us: Receive Maximum bounds the window, Maximum Packet Size the payload */
static void connack_properties(uint8_t *p, uint8_t *end) {
  uint32_t v;
  uint8_t *stop = after_properties(p, end);
  p += unvarint(p, end, &v);
  while (p < stop) switch (*p++) {
    case 0x21:
      v = p[0] << 8 | p[1];
      p += 2;
      if (qos && window > v) window = v;
      break;
    case 0x27:
      v = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
      p += 4;
      if (v < (uint32_t)bytes + 80) bad("payload above the broker's Maximum Packet Size", 0);
      break;
    case 0x24:
      if (*p++ < qos) bad("QoS above the broker's Maximum QoS", 0);
      break;
    case 0x25:
    case 0x28:
    case 0x29:
    case 0x2a: p += 1; break;
    case 0x13:
    case 0x22: p += 2; break;
    case 0x11: p += 4; break;
    case 0x12:
    case 0x1a:
    case 0x1c:
    case 0x1f: p += 2 + (p[0] << 8 | p[1]); break;
    case 0x26:
      p += 2 + (p[0] << 8 | p[1]);
      p += 2 + (p[0] << 8 | p[1]);
      break;
    default: bad("unknown CONNACK property", p[-1]);
    }
  if (p != stop) bad("malformed CONNACK properties", 0);
}
static void refused(const uint8_t *b, uint32_t len) {
  if (len > 2 && b[2] >= 0x80) bad("acknowledgement with reason", b[2]);
}
static void packet(conn *c, uint8_t h, uint8_t *b, uint32_t len) {
  uint8_t *p;
  switch (h >> 4) {
  case 2:
    if (b[1]) bad("CONNACK refused with", b[1]);
    if (level == 5) connack_properties(b + 2, b + len);
    c->connected = 1;
    if (c->sub) do_subscribe(c);
    else ready++;
    break;
  case 9:
    for (p = after_properties(b + 2, b + len); p < b + len; p++)
      if (*p != qos) bad("SUBACK with", *p);
    c->subscribed = 1;
    ready++;
    break;
  case 3: {
    int tl = b[0] << 8 | b[1], q = (h >> 1) & 3;
    uint8_t *d = after_properties(b + 2 + tl + (q ? 2 : 0), b + len);
    if (b + len - d != bytes) bad("payload of a wrong length", (int)(b + len - d));
    if (bytes >= 8 && nlat < caplat) {
      uint64_t s;
      memcpy(&s, d, 8);
      uint64_t dn = now_ns() - s;
      lat[nlat++] = dn / 1000;
    }
    received++;
    if (q) {
      p = room(c, 4);
      p[0] = q == 1 ? 0x40 : 0x50;
      p[1] = 2;
      p[2] = b[2 + tl];
      p[3] = b[3 + tl];
    }
    break;
  }
  case 4:
  case 7:
    refused(b, len);
    c->acked++;
    acked_total++;
    break;
  case 5:
    refused(b, len);
    p = room(c, 4);
    p[0] = 0x62;
    p[1] = 2;
    p[2] = b[0];
    p[3] = b[1];
    break;
  case 6:
    refused(b, len);
    p = room(c, 4);
    p[0] = 0x70;
    p[1] = 2;
    p[2] = b[0];
    p[3] = b[1];
    break;
  case 14: bad("broker sent DISCONNECT", len ? b[0] : 0); break;
  default: break;
  }
}
static void readable(conn *c) {
  if (c->incap - c->inlen < 131072) {
    c->incap = c->inlen + 262144;
    c->in = realloc(c->in, c->incap);
  }
  ssize_t k = recv(c->fd, c->in + c->inlen, c->incap - c->inlen, 0);
  if (k == 0) die("broker closed a connection");
  if (k < 0) {
    if (errno == EAGAIN) return;
    die("recv");
  }
  c->inlen += k;
  size_t o = 0;
  for (;;) {
    if (c->inlen - o < 2) break;
    uint32_t v = 0;
    int i = 0;
    uint8_t by;
    int ok = 0;
    do {
      if (o + 1 + i >= c->inlen) break;
      by = c->in[o + 1 + i];
      v |= (uint32_t)(by & 127) << (7 * i);
      i++;
      ok = !(by & 128);
    } while (!ok && i < 4);
    if (!ok || c->inlen - o < 1 + i + v) break;
    packet(c, c->in[o], c->in + o + 1 + i, v);
    o += 1 + i + v;
  }
  memmove(c->in, c->in + o, c->inlen - o);
  c->inlen -= o;
  if (!strcmp(scn, "idle") && !c->inlen) {
    free(c->in);
    c->in = 0;
    c->incap = 0;
    free(c->out);
    c->out = 0;
    c->outcap = c->outlen = c->outoff = 0;
    return;
  }
  if (c->outlen) flush_c(c);
}
static void poll_once(int ms) {
  struct epoll_event ev[512];
  int k = epoll_wait(ep, ev, 512, ms);
  for (int i = 0; i < k; i++) {
    conn *c = ev[i].data.ptr;
    if (ev[i].events & EPOLLOUT) flush_c(c);
    if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
  }
}
static int cmp(const void *a, const void *b) {
  uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int ac, char **av) {
  int o;
  while ((o = getopt(ac, av, "p:s:P:S:n:b:q:w:r:V:F:W")) > 0) switch (o) {
    case 'p': port = atoi(optarg); break;
    case 's': scn = optarg; break;
    case 'P': pubs = atoi(optarg); break;
    case 'S': subs = atoi(optarg); break;
    case 'n': n = atol(optarg); break;
    case 'b': bytes = atoi(optarg); break;
    case 'q': qos = atoi(optarg); break;
    case 'w': window = atol(optarg); break;
    case 'r': rate = atof(optarg); break;
    case 'V': level = atoi(optarg); break;
    case 'F': first = atoi(optarg); break;
    case 'W': waits = 1; break;
    default: return 2;
    }
  if (level != 4 && level != 5) {
    fprintf(stderr, "mqload: -V takes 4 or 5\n");
    return 2;
  }
  struct rlimit rl = {1000000, 1000000};
  if (setrlimit(RLIMIT_NOFILE, &rl) && !getrlimit(RLIMIT_NOFILE, &rl)) {
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
  }
  int idle = !strcmp(scn, "idle"), fanin = !strcmp(scn, "fanin"), fanout = !strcmp(scn, "fanout");
  if (idle) pubs = 0;
  if (fanin) subs = 1;
  if (fanout) pubs = 1;
  if (!idle && !fanin && !fanout) subs = pubs;
  int paced = idle || subs > 512;
  nc = pubs + subs;
  C = calloc(nc, sizeof *C);
  ep = epoll_create1(0);
  double t0 = now();
  double dl = now() + 120;
  for (int i = 0; i < subs; i++) {
    C[i].idx = first + i;
    C[i].sub = 1;
    do_connect(&C[i]);
    /* at most 64 under way, so that the broker's backlog is not what is measured */
    while (paced && i - ready >= 64) {
      poll_once(100);
      if (now() > dl) die("connections not accepted");
    }
  }
  while (ready < subs) {
    poll_once(100);
    if (now() > dl) die("subscribers not ready");
  }
  for (int i = 0; i < pubs; i++) {
    C[subs + i].idx = i;
    do_connect(&C[subs + i]);
  }
  while (ready < nc) {
    poll_once(100);
    if (now() > dl) die("publishers not ready");
  }
  double tc = now() - t0;
  if (idle) {
    printf("{\"connections\":%d,\"seconds\":%.3f,\"per_s\":%.0f}\n", nc, tc, nc / tc);
    fflush(stdout);
    char b;
    while (read(0, &b, 1) > 0);
    return 0;
  }
  if (waits) {
    printf("{\"ready\":1}\n");
    fflush(stdout);
    char b;
    while (read(0, &b, 1) > 0 && b != '\n');
  }
  long fan = fanout ? subs : 1, expect = n * fan;
  caplat = expect < 4000000 ? expect : 4000000;
  lat = malloc(caplat * 4 + 4);
  struct rusage r0;
  getrusage(RUSAGE_SELF, &r0);
  double t1 = now(), last = t1;
  long lastr = 0;
  int who = 0;
  uint64_t start = now_ns();
  while (received < expect || (qos && acked_total < n)) {
    if (rate > 0) {
      long due = (long)((now() - t1) * rate);
      if (due > n) due = n;
      while (sent_total < due) {
        conn *c = &C[subs + who];
        who = (who + 1) % pubs;
        publish(c, start + (uint64_t)(sent_total * 1e9 / rate));
        flush_c(c);
      }
      poll_once(1);
    } else {
      long air = window * pubs;
      for (int i = 0; i < pubs && sent_total < n; i++) {
        conn *c = &C[subs + i];
        if (c->want_out) continue;
        int did = 0;
        while (sent_total < n && (qos ? c->sent - c->acked < window : sent_total - received / fan < air) &&
               did < 256) {
          publish(c, now_ns());
          did++;
        }
        if (did) flush_c(c);
      }
      poll_once(1);
    }
    double t = now();
    if (received != lastr) {
      last = t;
      lastr = received;
    } else if (t - last > 10) break;
  }
  double t2 = now() - t1;
  struct rusage r1;
  getrusage(RUSAGE_SELF, &r1);
  qsort(lat, nlat, 4, cmp);
  double cpu = (r1.ru_utime.tv_sec - r0.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_stime.tv_sec) +
               (r1.ru_utime.tv_usec - r0.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_stime.tv_usec) * 1e-6;
  printf("{\"scenario\":\"%s\",\"level\":%d,\"qos\":%d,\"bytes\":%d,\"pubs\":%d,\"subs\":%d,\"expected\":%ld,"
         "\"received\":%ld,\"lost\":%ld,\"seconds\":%.3f,\"per_s\":%.0f,\"gen_cpu\":%.2f,\"p50_us\":%u,\"p99_"
         "us\":%u,\"p999_us\":%u}\n",
         scn, level, qos, bytes, pubs, subs, expect, received, expect - received, t2, received / t2, cpu / t2,
         nlat ? lat[nlat / 2] : 0, nlat ? lat[(long)(nlat * .99)] : 0, nlat ? lat[(long)(nlat * .999)] : 0);
  fflush(stdout);
  if (waits) {
    char b;
    while (read(0, &b, 1) > 0);
  }
  return 0;
}
