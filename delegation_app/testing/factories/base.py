"""The base class of all factories."""

from __future__ import annotations

from typing import Any, NoReturn

from factory.django import DjangoModelFactory


class WrittenFactory(DjangoModelFactory):  # type: ignore[type-arg]  # no generic before 3.3.1
    """A factory that always writes, in `_make`: through a service if there is one."""

    class Meta:
        abstract = True
        skip_postgeneration_save = True

    @classmethod
    def _make(cls, *args: Any, **parameters: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def _create(cls, model_class: type[Any], *_args: Any, **kwargs: Any) -> Any:  # noqa: ARG003 - the signature of factory_boy
        return cls._make(**kwargs)

    @classmethod
    def _build(cls, model_class: type[Any], *_args: Any, **_kwargs: Any) -> NoReturn:
        message = f"{cls.__name__} writes its row through a service: call create()."
        raise NotImplementedError(message)
