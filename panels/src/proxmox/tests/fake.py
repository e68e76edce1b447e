"""A Proxmox VE for tests, by fakepve, with what the driver needs and fakepve leaves out.

Arguments: a certificate's file and its key's. It listens on two ports of 127.0.0.1, plain and TLS, and prints them as JSON. Then
each line of its input names a method with its arguments, as JSON, and is answered by a line. It ends with its input.
"""

import asyncio
import json
import re
import ssl
import sys
import time

from aiohttp import web
from fakepve import FakePve, errors, shapes
from fakepve.model import PveError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
GIB = UNITS["G"]


def size_of(text):
    number, unit = re.fullmatch(r"(\d+)([KMGT]?)", text).groups()
    return int(number) * UNITS[unit]


def files_of(vm):
    """What a machine's owner has written, by path."""
    vm.files = getattr(vm, "files", {})
    return vm.files


class Server(FakePve):
    def __init__(self):
        super().__init__(host="127.0.0.1", port=0)
        self.clones = []
        self.hides_names = False
        self.dumps, self.dump_secs, self.overrides = 0, 0, True

    # What fakepve answers without doing it.

    def _routes_for_berth(self):
        return [("PUT", "/nodes/{node}/qemu/{vmid}/resize", self._grow), ("POST", "/nodes/{node}/vzdump", self._dump)]

    async def _grow(self, values, user):
        vm = self.find(values["node"], values["vmid"])
        self._check_lock(vm)
        self.need_quorum()
        drive = vm.config.get(values["disk"])
        if drive is None:
            raise PveError(500, "disk '{0}' does not exist".format(values["disk"]))
        now = size_of(re.search(r"size=(\w+)", drive).group(1))
        wanted = values["size"]
        size = now + size_of(wanted[1:]) if wanted.startswith("+") else size_of(wanted)
        if size < now:
            raise PveError(500, "shrinking disks is not supported")

        async def body():
            vm.config[values["disk"]] = re.sub(r"size=\w+", "size={0}M".format(size >> 20), drive)

        return await self.task(vm.node, "resize", vm.vmid, user, body, vm=vm)

    async def _dump(self, values, user):
        vm = self.find(values["node"], values["vmid"])
        store = self._active_store(values["storage"], vm.node)
        self.dumps += 1
        second = time.strftime("%Y_%m_%d-%H_%M_%S", time.gmtime(time.time() + self.dumps))
        volume = "backup/vzdump-qemu-{0}-{1}.vma.zst".format(vm.vmid, second)

        async def body():
            self._check_lock(vm)
            self._qm_lock(vm, "backup")
            kept = (dict(vm.config), dict(files_of(vm)))
            kept[0].pop("lock")
            await self.pause(self.dump_secs)
            self._qm_lock(vm, None)
            store.setdefault("volumes", {})[volume] = {
                "content": "backup", "format": "vma.zst", "size": 1000 + len(str(kept)), "vmid": vm.vmid, "kept": kept,
                "ctime": int(time.time()), "notes": values["notes-template"], "protected": values["protected"]}

        return await self.task(vm.node, "vzdump", vm.vmid, user, body, vm=vm, lock=False)

    async def _qm_create(self, values, user):
        """A restore is all that is made in this way; what is said besides the archive holds instead of what is in that."""
        vm = self.find(values["node"], values["vmid"])
        storage, volume = values["archive"].split(":", 1)
        if not values.get("force"):
            raise PveError(500, "unable to restore VM {0} - VM {0} already exists on node".format(vm.vmid))
        self._check_lock(vm)
        if vm.status == "running":
            raise PveError(500, "unable to restore VM {0} - vm is running".format(vm.vmid))
        archive = self.storages[storage]["volumes"].get(volume)
        if archive is None:
            raise PveError(500, "volume '{0}' does not exist".format(values["archive"]))
        apart = ("node", "vmid", "archive", "force", "storage")
        more = {key: value for key, value in values.items() if key not in apart and self.overrides}
        self._qm_lock(vm, "create")

        async def body():
            await self.pause(self.dump_secs)
            disk = vm.config["scsi0"].split(",")[0]
            vm.config = {**archive["kept"][0], **more}
            vm.config["scsi0"] = ",".join([disk] + vm.config["scsi0"].split(",")[1:])
            vm.files = dict(archive["kept"][1])
            self._qm_lock(vm, None)

        return await self.task(vm.node, "qmrestore", vm.vmid, user, body, vm=vm, lock=False)

    # What a real server does, and fakepve does not.

    async def _qm_clone(self, values, user):
        source = self.vm(int(values["vmid"]))
        upid = await super()._qm_clone(values, user)
        self.clones.append((upid, values.get("description", "")))
        vm = self.vm(int(values["newid"]))
        if vm is not None:
            vm.agent = source.agent
        if vm is not None and vm.lock and self.hides_names:
            # Until its first disk is copied a clone has nothing but its lock.
            vm.hidden = {key: vm.config.pop(key) for key in ("name", "description") if key in vm.config}
            vm.config["description"] = "qmclone temporary file\n"
            vm.name = ""
        return upid

    @staticmethod
    def _qm_lock(vm, lock):
        FakePve._qm_lock(vm, lock)
        if lock is None and getattr(vm, "hidden", None):
            vm.config.update(vm.hidden)
            vm.name = vm.hidden["name"]
            vm.hidden = None

    async def _agent_call(self, match, values):
        answer = await super()._agent_call(match, values)
        if match.template.endswith("set-user-password"):
            vm = self.find(values["node"], values["vmid"])
            vm.inside = (values["password"], vm.config.get("cipassword"))
        return answer

    # What tests ask for.

    def add_template(self, vmid, storage, gib, agent):
        volume = "base-{0}-disk-0".format(vmid)
        self.storages[storage].setdefault("volumes", {})[volume] = {
            "content": "images", "format": "raw", "size": gib * GIB, "vmid": vmid, "ctime": int(time.time())}
        config = {
            "template": 1, "cores": 1, "sockets": 2, "memory": 256, "agent": "1" if agent else "0",
            "scsi0": "{0}:{1},size={2}G".format(storage, volume, gib), "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0",
            "ide2": "{0}:vm-{1}-cloudinit,media=cdrom".format(storage, vmid), "description": "a template"}
        self.add_vm(vmid, "template", template=True, config=config).agent = {} if agent else None

    def set_token(self, token, secret):
        self.apitokens[token] = secret

    def grant_all_but(self, token, path, privilege):
        """Everything everywhere, but for a privilege at a path."""
        held = set(shapes.PRIVILEGES)
        self.acl = {token: [(at, held - {privilege} if at == path else held) for at in ("/vms", "/vms/9000", "/storage")]}
        if path != "/vms":
            self.acl[token][0] = ("/vms", held - {privilege})

    def add_pool(self, name):
        self.pools[name] = set()

    def revoke_token(self, token):
        del self.apitokens[token]

    def made(self):
        """What was said of every machine that was ever cloned."""
        return [text for upid, text in self.clones if self.tasks[upid].get("exitstatus") in (None, "OK")]

    def change(self, vmid, attributes):
        for name, value in attributes.items():
            setattr(self.vm(vmid), name, value)

    def change_config(self, vmid, config):
        self.vm(vmid).config.update(config)

    def change_self(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)

    def change_storage(self, name, attributes):
        self.storages[name].update(attributes)

    def errors(self, method, template):
        """The errors that a real server may answer a request with, by name, and whether a task ends with them."""
        return [[error["name"], error["in_task"]] for error in errors.listing(method, template)]

    def unfail(self):
        self.failures.clear()

    def machines(self):
        return [[vm.vmid, vm.name] for vm in self.vms if not vm.template]

    def image(self, vmid):
        vm = self.vm(vmid)
        shown = ("node", "name", "status", "qmpstatus", "config", "pending", "lock")
        return vm and {name: getattr(vm, name) for name in shown}

    def volumes(self, storage):
        return sorted(self.storages[storage].get("volumes", {}))

    def opens(self, name, password):
        """Whether the login of a machine that runs takes a password: cloud-init's, or the agent's since."""
        for vm in self.vms:
            if vm.name == name:
                inside, given = getattr(vm, "inside", (None, None)), vm.config.get("cipassword")
                is_now = inside[0] if inside[0] is not None and inside[1] == given else given
                return vm.status == "running" and is_now == password
        return False

    def write(self, vmid, path, text):
        files_of(self.vm(vmid))[path] = text

    def files(self, vmid):
        return files_of(self.vm(vmid))

    def backups(self, storage):
        """The notes of each, and whether it is protected."""
        volumes = self.storages[storage].get("volumes", {}).values()
        return [[vol["notes"], bool(vol.get("protected"))] for vol in volumes if vol["content"] == "backup"]

    def restart(self, vmid):
        vm = self.vm(vmid)
        vm.apply_pending()
        vm.status = vm.qmpstatus = "running"

    async def half_clone(self, template, vmid, name, description):
        await self._qm_clone({"node": "pve1", "vmid": template, "newid": vmid, "name": name, "description": description},
                             "root@pam")

    async def staff_clone(self, vmid, newid, name):
        await super()._qm_clone({"node": self.vm(vmid).node, "vmid": vmid, "newid": newid, "name": name, "full": 1},
                                "root@pam")

    async def serve(self, certificate, key):
        self.runner = web.AppRunner(self._build_app())
        await self.runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        await web.TCPSite(self.runner, self.host, 0).start()
        await web.TCPSite(self.runner, self.host, 0, ssl_context=context).start()
        return [address[1] for address in self.runner.addresses]


async def main(certificate, key):
    server = Server()
    print(json.dumps(await server.serve(certificate, key)), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *arguments = json.loads(line)
        try:
            answer = getattr(server, name)(*arguments)
            if asyncio.iscoroutine(answer):
                answer = await answer
            print(json.dumps({"ok": answer}, default=str), flush=True)
        except Exception as error:  # Whatever it is, the test shows it.
            print(json.dumps({"error": repr(error)}), flush=True)


asyncio.run(main(*sys.argv[1:]))
