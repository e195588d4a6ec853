"""Routes about orders that are no operation of the resource: HTTP alone has them."""

from bali import APIRouter

from models import Order

router = APIRouter(prefix="/orders", tags=["orders"])


@router.get("/count")
async def count_orders(is_active: bool = True) -> dict[str, int]:
    """Tell how many there are."""
    return {"count": await Order.aio.count(is_active=is_active)}
