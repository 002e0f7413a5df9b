"""What may come in: the profile of an upload, and the look at its first bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.errors import FileEmpty, Unsupported
from shared.model import container, policy
from shared.model.file import File
from shared.model.media import canonical
from shared.model.policy import Profile, Verdict
from shared.model.upload import NewUpload, Upload
from shared.ports import Sniffer


@dataclass(frozen=True, slots=True)
class Screening:
    """The rules by name of profile, and the sniffer that tells what bytes are."""

    profiles: Mapping[str, Profile]
    sniffer: Sniffer
    allow_empty: bool = False

    def largest(self, profile: str) -> int:
        """Return the size of the largest file the profile allows, in bytes."""
        return _largest(policy.choose(self.profiles, profile))

    def largest_of(self, profile: str | None) -> int:
        """The same of a profile that may not be known yet: then that of the most generous."""
        if profile is not None:
            return self.largest(profile)
        return max(_largest(each) for each in self.profiles.values())

    def largest_declared(self, upload: Upload) -> int:
        """The same of a file of this name and declared type."""
        profile = policy.choose(self.profiles, upload.profile)
        return policy.largest(profile, filename=upload.filename, declared=upload.declared_type)

    def refuse_declaration(self, new: NewUpload) -> None:
        """Raise `Unsupported` or `TooLarge` for what cannot be allowed whatever its bytes are."""
        policy.refuse_declaration(
            policy.choose(self.profiles, new.profile),
            filename=new.filename,
            declared=new.content_type,
            size=new.size,
        )

    def refuse_beginning(self, upload: Upload, head: bytes) -> None:
        """Raise `Unsupported` when no more bytes could make the upload welcome."""
        policy.refuse_beginning(
            policy.choose(self.profiles, upload.profile),
            detected=self._detect(head, upload.filename),
            filename=upload.filename,
            declared=upload.declared_type,
        )

    def refuse_unopened(self, filename: str, declared: str | None, profile: str | None) -> None:
        """Raise `Unsupported` for the name and type of a file whose upload is not open yet.

        Its profile may not be known: then it is refused only where no profile could welcome it, and
        told what `default` allows.
        """

        def judge(each: Profile) -> None:
            policy.refuse_declaration(each, filename=filename, declared=declared, size=None)

        self._refuse_unopened(profile, judge)

    def refuse_unopened_beginning(
        self, filename: str, declared: str | None, profile: str | None, head: bytes
    ) -> None:
        """The same for its first bytes, when no more of them could make it welcome."""
        detected, said = self._detect(head, filename), canonical(declared)

        def judge(each: Profile) -> None:
            policy.refuse_beginning(each, detected=detected, filename=filename, declared=said)

        self._refuse_unopened(profile, judge)

    def refuse_name(self, file: File, filename: str) -> None:
        """Raise `Unsupported` for a name that a file of this type could not have come with."""
        profile = self.profiles.get(file.profile) or policy.choose(self.profiles, "default")
        policy.refuse_name(profile, filename=filename, content_type=file.content_type)

    def judge(self, upload: Upload, head: bytes, size: int) -> Verdict:
        """Return what a whole file is, or raise `Unsupported`, `TooLarge` or `FileEmpty`."""
        if size == 0 and not self.allow_empty:
            raise FileEmpty("The file is empty.")
        return policy.decide(
            policy.choose(self.profiles, upload.profile),
            detected=self._detect(head, upload.filename),
            filename=upload.filename,
            declared=upload.declared_type,
            size=size,
        )

    def _refuse_unopened(self, profile: str | None, judge: Callable[[Profile], None]) -> None:
        known = self.profiles if profile is None else {profile}
        refusals = []
        for name in known:
            try:
                judge(policy.choose(self.profiles, name))
            except Unsupported as refusal:
                refusals.append(refusal)
            else:
                return
        raise refusals[0]

    def _detect(self, head: bytes, filename: str) -> str:
        return container.refine(self.sniffer.sniff(head), head, filename)


def _largest(profile: Profile) -> int:
    return max((profile.max_sizes[each.category] for each in profile.allowed), default=0)
