// The reference reader: what capturing an exec costs at the least.
//
//   reference PROGRAM
//
// For each CPU one thread, pinned, with real-time priority, and a socket whose filter lets only that CPU's execs pass. It
// receives, reads cmdline and exe, and does nothing else, but counts: of the execs of PROGRAM with a number as the first
// argument, those numbers that it saw with cmdline and exe. It says `ready`, and at SIGTERM `captured N of M execs`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MAX_CPUS = 64,
    MAX_NUMBER = 1 << 20,
    STACK = 64 << 10,
    WHAT = NLMSG_HDRLEN + sizeof(struct cn_msg) + offsetof(struct proc_event, what),
    CPU = NLMSG_HDRLEN + sizeof(struct cn_msg) + offsetof(struct proc_event, cpu),
    DATA = NLMSG_HDRLEN + sizeof(struct cn_msg) + offsetof(struct proc_event, event_data),
};

struct reader {
    pthread_t thread;
    int socket;
    int cpu;
    unsigned long execs;
    char buffer[8192], path[4096];
};

static struct reader readers[MAX_CPUS];
static const char *program;
static size_t program_length;
static int proc;
// A bit for each number seen; only the pages in use take memory.
static unsigned char seen[MAX_NUMBER / 8];

static void die(const char *what)
{
    fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(int cpu)
{
    // Loads of a filter are big-endian, the fields are in the machine's order.
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, WHAT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXEC), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CPU),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)cpu), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog code = {sizeof filter / sizeof *filter, filter};
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    int size = 1 << 20;
    int s = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
    if (s < 0)
        die("socket");
    if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof code) < 0)
        die("SO_ATTACH_FILTER");
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        die("SO_RCVBUFFORCE");
    if (bind(s, (struct sockaddr *)&group, sizeof group) < 0)
        die("bind");
    return s;
}

static void request(int s, uint32_t what)
{
    struct {
        struct nlmsghdr header;
        struct cn_msg message;
        uint32_t what;
    } __attribute__((packed)) m = {
        .header = {.nlmsg_len = sizeof m, .nlmsg_type = NLMSG_DONE},
        .message = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof m.what},
        .what = what,
    };
    if (send(s, &m, sizeof m, 0) < 0)
        die("send");
}

// `PID/NAME`, relative to /proc: printf would cost more than the rest.
static const char *entry(char buffer[24], pid_t pid, const char *name, size_t length)
{
    char *at = buffer + 24 - length - 1;
    memcpy(at, name, length + 1);
    *--at = '/';
    for (unsigned rest = (unsigned)pid; ; rest /= 10) {
        *--at = (char)('0' + rest % 10);
        if (rest < 10)
            return at;
    }
}

static ssize_t read_cmdline(pid_t pid, char *buffer, size_t size)
{
    char name[24];
    int file = openat(proc, entry(name, pid, "cmdline", 7), O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, buffer, size);
    close(file);
    return length;
}

static ssize_t read_exe(pid_t pid, char *buffer, size_t size)
{
    char name[24];
    return readlinkat(proc, entry(name, pid, "exe", 3), buffer, size);
}

static void count(const char *cmdline, size_t length)
{
    if (length < program_length + 3 || memcmp(cmdline, program, program_length + 1) != 0 || cmdline[length - 1] != 0)
        return;
    unsigned long number = strtoul(cmdline + program_length + 1, NULL, 10);
    if (number < MAX_NUMBER)
        __atomic_fetch_or(&seen[number / 8], (unsigned char)(1 << number % 8), __ATOMIC_RELAXED);
}

static void *run(void *argument)
{
    struct reader *r = argument;
    cpu_set_t set;
    struct sched_param priority = {.sched_priority = 1};
    CPU_ZERO(&set);
    CPU_SET(r->cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        die("sched_setaffinity");
    // The system call: musl's function always fails.
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority) < 0)
        die("SCHED_FIFO");
    for (;;) {
        char message[128];
        ssize_t length = recv(r->socket, message, sizeof message, 0);
        if (length < 0) {
            if (errno == EINTR || errno == ENOBUFS)
                continue;
            break;
        }
        if ((size_t)length < DATA + sizeof(((struct proc_event *)0)->event_data.exec))
            continue;
        pid_t pid;
        memcpy(&pid, message + DATA + offsetof(struct exec_proc_event, process_tgid), sizeof pid);
        ssize_t cmdline = read_cmdline(pid, r->buffer, sizeof r->buffer);
        ssize_t exe = read_exe(pid, r->path, sizeof r->path);
        r->execs++;
        if (cmdline > 0 && exe > 0)
            count(r->buffer, (size_t)cmdline);
    }
    die("recv");
    return NULL;
}

int main(int argc, char **argv)
{
    sigset_t signals;
    pthread_attr_t attributes;
    cpu_set_t allowed;
    int cpus = 0, got = 0;
    if (argc != 2) {
        fputs("usage: reference PROGRAM\n", stderr);
        return 2;
    }
    program = argv[1];
    program_length = strlen(program);
    if ((proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        die("/proc");
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        die("sched_getaffinity");
    // What is in use once stays in memory: a page fault would let the new program run on.
    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (int cpu = 0; cpu < CPU_SETSIZE && cpus < MAX_CPUS; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        struct reader *r = &readers[cpus++];
        r->cpu = cpu;
        r->socket = open_socket(cpu);
        if ((errno = pthread_create(&r->thread, &attributes, run, r)) != 0)
            die("pthread_create");
    }
    request(readers[0].socket, PROC_CN_MCAST_LISTEN);
    puts("ready");
    fflush(stdout);
    sigwait(&signals, &got);
    request(readers[0].socket, PROC_CN_MCAST_IGNORE);
    unsigned long execs = 0, captured = 0;
    for (int i = 0; i < cpus; i++)
        execs += readers[i].execs;
    for (size_t i = 0; i < sizeof seen; i++)
        captured += (unsigned long)__builtin_popcount(seen[i]);
    printf("captured %lu of %lu execs\n", captured, execs);
    return 0;
}
