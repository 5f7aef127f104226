/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.c - the model's side of a board's program in another process.
 *
 * Room: tests.
 */
#include "model8349/remote/remote.h"

#include <sys/socket.h>

void remote_serve(struct ends *e, int socket)
{
    struct vop__mpc8349_end end = ends_end(e, VOP__MPC8349_BOARD);
    struct remote_message m;

    while (recv(socket, &m, sizeof(m), 0) == sizeof(m)) {
        uint32_t offset = vop_from_le32(m.offset), value = vop_from_le32(m.value);

        if (vop_from_le32(m.op) == REMOTE_LOAD)
            m.value = vop_to_le32(end.io.load32(end.io.context, offset));
        else if (vop_from_le32(m.op) == REMOTE_STORE)
            end.io.store32(end.io.context, offset, value);
        else
            (void)end.ops->enable(end.context);
        if (send(socket, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
            break;
    }
    end.ops->close(end.context);
}
