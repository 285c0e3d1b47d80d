/* Preloaded into a server that passes over loopback interfaces when it gathers candidates: it sees them as ordinary
 * ones, so that it can be measured on 127.0.0.1 without touching the machine's network. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>

int getifaddrs(struct ifaddrs **list)
{
    int (*original)(struct ifaddrs **) = (int (*)(struct ifaddrs **))dlsym(RTLD_NEXT, "getifaddrs");
    if (original == NULL)
        return -1;
    int result = original(list);
    if (result != 0)
        return result;
    for (struct ifaddrs *entry = *list; entry != NULL; entry = entry->ifa_next)
        entry->ifa_flags &= ~(unsigned)IFF_LOOPBACK;
    return 0;
}
